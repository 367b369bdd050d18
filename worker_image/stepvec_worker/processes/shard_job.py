"""Chunks of a shard, streamed: download and decode in threads, embed in batches, write in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvec.pacing import batches
from stepvec.rows.item import MetadataTable, RowMetadata, VectorItem, VectorType
from stepvec.rows.vectors import encode_vector
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import StageSeconds
from stepvec_worker.images.fetching import FetchedImage
from stepvec_worker.images.preprocessing import Picture, Pixels
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.processes.concurrency import ByteBudget, concurrent_map
from stepvec_worker.processes.image_watch import Work
from stepvec_worker.processes.looking import Looking
from stepvec_worker.processes.shard_context import Chunk, ProcessHooks
from stepvec_worker.storage.index import IndexWriter, OnIndexed
from stepvec_worker.storage.rows import OnStored, RowWriter

FloatArray = NDArray[np.float32]

BATCHES_AHEAD: Final = 2
"""Batches of images downloaded and decoded ahead of the network: 5 MB each at 32 images of 224 x 224, 8 bits."""
DOWNLOADED_BYTES: Final = 64 * 1024 * 1024
"""Downloaded and not yet decoded bytes at a time, of one process."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What every row of the shard gets, and how: which run, whose model."""

    run: str
    model: str
    dimension: int
    vector_type: VectorType
    reembed: bool
    batch_size: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image whose pixels the network can take, (H, W, 3), or whose outcome is recorded (None)."""

    image: ShardImage
    chunk: Chunk
    line: int
    pixels: Pixels | None
    modified: datetime
    is_uniform: bool = False


@dataclass(slots=True)
class Totals:
    """Work so far, over all threads."""

    downloaded_bytes: int = 0
    download_seconds: float = 0.0
    decode_seconds: float = 0.0
    embed_seconds: float = 0.0
    write_seconds: float = 0.0

    @property
    def stages(self) -> StageSeconds:
        """Seconds spent in each."""
        return StageSeconds(self.download_seconds, self.decode_seconds, self.embed_seconds, self.write_seconds)


class ShardJob:
    """Gives each image of its chunks one outcome, in the chunk's tally, when its row is stored.

    fetch, prepare, embed and store are callables that give an image's bytes, its pixels, the vectors of a batch, and
    write a row. `fetch` and `prepare` run in threads and raise ImageRejected for what is wrong with one image. With an
    `index`, an image has its outcome only when its vector is there, too.
    """

    def __init__(
        self,
        task: ShardTask,
        table: MetadataTable,
        hooks: ProcessHooks,
        *,
        fetch: Callable[[ShardImage], FetchedImage],
        prepare: Callable[[bytes], Picture],
        embed: Callable[[Sequence[Pixels]], FloatArray],
        store: Callable[[VectorItem], ImageFailure | None],
        download_threads: int,
        write_threads: int,
        index: IndexWriter | None = None,
    ) -> None:
        self.totals = Totals()
        self._task = task
        self._table = table
        self._hooks = hooks
        self._fetch = fetch
        self._prepare = prepare
        self._embed = embed
        self._store = store
        self._index = index
        self._download_threads = download_threads
        self._write_threads = write_threads
        self._budget = ByteBudget(DOWNLOADED_BYTES)
        # A row whose vector the index lacks is copied, and not embedded once more: each must be seen.
        self._looking = Looking(everywhere=index is not None)
        self._lock = threading.Lock()

    def run(self, chunks: Iterable[Chunk]) -> None:
        """Embed the images of `chunks`, batches reaching across them; only the last may be smaller.

        When stopped, what is begun is stored and nothing else is begun. Raises StorageError; what was embedded
        before is stored then too.
        """
        written = self.totals.write_seconds - self._index_seconds
        with (
            RowWriter(self._write_threads) as writer,
            ThreadPoolExecutor(self._download_threads, thread_name_prefix="fetch") as pool,
        ):
            prepared = concurrent_map(
                pool,
                lambda element: self._prepare_one(*element),
                takewhile(lambda _: not self._hooks.is_stopped(), self._without_stored(chunks)),
                ahead=BATCHES_AHEAD * self._task.batch_size,
            )
            good = (element for element in prepared if element.pixels is not None)
            for batch in batches(good, self._task.batch_size):
                self._embed_batch(batch, writer)
                self.totals.write_seconds = written + writer.seconds + self._index_seconds
                self._hooks.on_batch()
            writer.flush()
            if self._index is not None:
                self._index.flush()
            self.totals.write_seconds = written + writer.seconds + self._index_seconds

    @property
    def _index_seconds(self) -> float:
        return 0.0 if self._index is None else self._index.seconds

    def _without_stored(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, int, ShardImage]]:
        """The images that an earlier attempt, or another run since, has not stored, as far as it is worth a look."""
        for chunk in chunks:
            if not self._looking.is_due(chunk):
                yield from ((chunk, line, image) for line, image in chunk.images)
                continue
            metadata: dict[str, RowMetadata] = {}
            # Eventually consistent, at half the price: a row that is overlooked is embedded once more, no worse.
            for found in self._table.metadata((image.image_id for _, image in chunk.images), consistent=False):
                metadata.update(found)
            stored: dict[str, tuple[RowMetadata, OnIndexed]] = {}
            for line, image in chunk.images:
                row = metadata.get(image.image_id)
                if row is None or not row.is_embedding_of(image.etag, self._task.model):
                    yield chunk, line, image
                elif row.run == self._task.run:
                    stored[image.image_id] = row, chunk.tally.record_embedded
                elif self._task.reembed:
                    yield chunk, line, image
                else:
                    stored[image.image_id] = row, chunk.tally.record_unchanged
            self._looking.saw(chunk, stored=len(stored))
            changed = self._record_stored(stored)
            yield from ((chunk, line, image) for line, image in chunk.images if image.image_id in changed)

    def _record_stored(self, stored: Mapping[str, tuple[RowMetadata, OnIndexed]]) -> Collection[str]:
        """Record these images once nothing is left to do for them; the ids of those whose row is another by now."""
        if self._index is not None:
            return self._index.ensure(stored)
        for _, record in stored.values():
            record()
        return ()

    def _prepare_one(self, chunk: Chunk, line: int, image: ShardImage) -> Prepared:
        self._budget.acquire(image.size)
        try:
            with self._hooks.watch.holding(Work.FETCHING, chunk.number, line) as slot:
                return self._prepare_held(chunk, line, image, slot)
        finally:
            self._budget.release(image.size)

    def _prepare_held(self, chunk: Chunk, line: int, image: ShardImage, slot: int) -> Prepared:
        start = time.perf_counter()
        try:
            fetched = self._fetch(image)
            downloaded = time.perf_counter()
            with self._hooks.watch.decoding(slot):
                begun = time.perf_counter()
                picture = self._prepare(fetched.data)
                decoded = time.perf_counter()
        except ImageRejected as rejected:
            chunk.tally.record_failure(ImageFailure(image.key, image.image_id, rejected.reason, rejected.message))
            return Prepared(image, chunk, line, None, datetime.now(UTC))
        with self._lock:
            self.totals.downloaded_bytes += len(fetched.data)
            self.totals.download_seconds += downloaded - start
            self.totals.decode_seconds += decoded - begun
        return Prepared(image, chunk, line, picture.pixels, fetched.modified, picture.is_uniform)

    def _embed_batch(self, batch: list[Prepared], writer: RowWriter) -> None:
        start = time.perf_counter()
        with self._hooks.watch.holding_all(Work.EMBEDDING, [(element.chunk.number, element.line) for element in batch]):
            vectors = self._embed([element.pixels for element in batch if element.pixels is not None])
        self.totals.embed_seconds += time.perf_counter() - start
        created = datetime.now(UTC)
        for element, vector in zip(batch, vectors, strict=True):
            image = element.image
            encoded = encode_vector(vector, self._task.vector_type)
            row = VectorItem(
                image_id=image.image_id,
                vector=encoded.data,
                data_type=self._task.vector_type,
                dimension=self._task.dimension,
                created=created,
                key=image.key,
                etag=image.etag,
                model=self._task.model,
                run=self._task.run,
                modified=element.modified,
                scale=encoded.scale,
            )
            writer.add(partial(self._store_row, element, row), self._on_stored(element, row))

    def _on_stored(self, element: Prepared, row: VectorItem) -> OnStored:
        tally, index = element.chunk.tally, self._index
        if index is None:
            return tally.record_row

        def put(refused: ImageFailure | None) -> None:
            if refused is None:
                index.add(row, tally.record_embedded)
            else:
                tally.record_failure(refused)

        return put

    def _store_row(self, element: Prepared, row: VectorItem) -> ImageFailure | None:
        with self._hooks.watch.holding(Work.STORING, element.chunk.number, element.line):
            if element.is_uniform:
                # Before: should the process die in between, the next one finds the row and does not see the picture.
                self._hooks.on_uniform(element.line, True)
            refused = self._store(row)
            if element.is_uniform and refused is not None:
                self._hooks.on_uniform(element.line, False)
            return refused
