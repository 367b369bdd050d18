"""One shard, streamed: download and decode in threads, embed in batches, write in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stepvec.adapters.vector_table import batches
from stepvec.item import StoredMark, VectorItem, VectorType
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.outcome import ImageFailure
from stepvec.records.listing import ShardImage
from stepvec.vectors import encode_vector
from stepvec_worker.bounded import ByteBudget, bounded_map
from stepvec_worker.decoding import ImageRejected
from stepvec_worker.pixels import Pixels
from stepvec_worker.writing import RowTable, RowWriter

FloatArray = NDArray[np.float32]

BATCHES_AHEAD: Final = 2
"""Batches of images downloaded and decoded ahead of the network: 5 MB each at 32 images of 224 x 224 bytes, RGB."""
DOWNLOADED_BYTES: Final = 128 * 1024 * 1024
"""Downloaded and not yet decoded bytes at a time."""


class MarkTable(RowTable, Protocol):
    """What the job needs of VectorTable."""

    def marks(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, StoredMark]]:
        """As VectorTable.marks."""
        ...


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What is to be done: which run, whose model, and what a row gets."""

    run: str
    shard: int
    model: str
    dimension: int
    vector_type: VectorType
    reembed: bool
    batch_size: int


@dataclass(slots=True)
class ShardTally:
    """Counts so far, and seconds of work of each stage over all threads."""

    embedded: int = 0
    unchanged: int = 0
    failures: list[ImageFailure] = field(default_factory=list)
    downloaded_bytes: int = 0
    download_seconds: float = 0.0
    decode_seconds: float = 0.0
    embed_seconds: float = 0.0
    write_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as the network sees it, or the failure it ended in."""

    image: ShardImage
    pixels: Pixels | None
    failure: ImageFailure | None


class ShardJob:
    """Gives each image of a shard its one outcome; `tally` tells how far it is.

    fetch, prepare and embed may be any callables: bytes of an image, its pixels, and vectors of a batch. `fetch` and
    `prepare` run in threads and raise ImageRejected for what is wrong with one image.
    """

    def __init__(
        self,
        task: ShardTask,
        table: MarkTable,
        *,
        fetch: Callable[[ShardImage], bytes],
        prepare: Callable[[bytes], Pixels],
        embed: Callable[[Sequence[Pixels]], FloatArray],
        download_threads: int,
        decoders: int,
        is_stopped: Callable[[], bool],
        on_progress: Callable[[ShardTally], None],
    ) -> None:
        self.tally = ShardTally()
        self._task = task
        self._table = table
        self._fetch = fetch
        self._prepare = prepare
        self._embed = embed
        self._download_threads = download_threads
        self._decoding = threading.Semaphore(decoders)
        self._budget = ByteBudget(DOWNLOADED_BYTES)
        self._is_stopped = is_stopped
        self._on_progress = on_progress
        self._lock = threading.Lock()

    def run(self, images: Iterable[ShardImage]) -> bool:
        """Embed `images`. Returns True when each has its outcome, False when stopped before; all begun is stored."""
        with (
            RowWriter(self._table) as writer,
            ThreadPoolExecutor(self._download_threads, thread_name_prefix="fetch") as pool,
        ):
            prepared = bounded_map(
                pool,
                self._prepare_one,
                self._until_stopped(self._without_stored(images)),
                ahead=BATCHES_AHEAD * self._task.batch_size,
            )
            for batch in batches(self._without_failures(prepared), self._task.batch_size):
                self._embed_batch(batch, writer)
                self.tally.write_seconds = writer.seconds
                self._on_progress(self.tally)
            writer.flush()
            self.tally.write_seconds = writer.seconds
        self._on_progress(self.tally)
        return not self._is_stopped()

    def _without_stored(self, images: Iterable[ShardImage]) -> Iterator[ShardImage]:
        """The images that an earlier attempt, or another run since, has not stored."""
        for chunk in batches(images, BATCH_GET_ITEMS):
            (marks,) = self._table.marks((image.image_id for image in chunk), consistent=True)
            for image in chunk:
                mark = marks.get(image.image_id)
                if mark is None or not mark.is_embedding_of(image.etag, self._task.model):
                    yield image
                elif mark.run == self._task.run:
                    self.tally.embedded += 1
                elif self._task.reembed:
                    yield image
                else:
                    self.tally.unchanged += 1

    def _until_stopped(self, images: Iterator[ShardImage]) -> Iterator[ShardImage]:
        return takewhile(lambda _: not self._is_stopped(), images)

    def _prepare_one(self, image: ShardImage) -> Prepared:
        self._budget.acquire(image.size)
        try:
            start = time.perf_counter()
            data = self._fetch(image)
            with self._decoding:
                fetched = time.perf_counter()
                pixels = self._prepare(data)
                decoded = time.perf_counter()
        except ImageRejected as rejected:
            return Prepared(image, None, ImageFailure(image.key, image.image_id, rejected.reason, rejected.message))
        finally:
            self._budget.release(image.size)
        with self._lock:
            self.tally.downloaded_bytes += len(data)
            self.tally.download_seconds += fetched - start
            self.tally.decode_seconds += decoded - fetched
        return Prepared(image, pixels, None)

    def _without_failures(self, prepared: Iterable[Prepared]) -> Iterator[tuple[ShardImage, Pixels]]:
        for element in prepared:
            if element.failure is not None:
                self.tally.failures.append(element.failure)
            elif element.pixels is not None:
                yield element.image, element.pixels

    def _embed_batch(self, batch: list[tuple[ShardImage, Pixels]], writer: RowWriter) -> None:
        start = time.perf_counter()
        vectors = self._embed([pixels for _, pixels in batch])
        self.tally.embed_seconds += time.perf_counter() - start
        created = datetime.now(UTC)
        for (image, _), vector in zip(batch, vectors, strict=True):
            writer.add(
                VectorItem(
                    image_id=image.image_id,
                    vector=encode_vector(vector, self._task.vector_type),
                    data_type=self._task.vector_type,
                    dimension=self._task.dimension,
                    created=created,
                    key=image.key,
                    etag=image.etag,
                    model=self._task.model,
                    run=self._task.run,
                )
            )
        self.tally.embedded += len(batch)
