"""A table in a folder, one file a row, and an embedding of plain functions around it: shared by forked processes."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from stepvec_worker.images.fetching import FetchedImage
from stepvec_worker.images.preprocessing import Picture
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.processes.host import peak_memory_mb
from stepvec_worker.processes.messages import ProcessUsage
from stepvec_worker.processes.shard_context import Chunk, ProcessHooks, ShardContext
from stepvec_worker.processes.shard_job import ShardJob, ShardTask

from stepvec import errors
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason, ImageFailure

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"


class FolderTable:
    """Rows as files: a name, the ETag and the run in one line. Written in one step, as DynamoDB writes an item."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        assert not consistent
        found = {}
        for name in image_ids:
            path = self.folder / name
            if path.exists():
                etag, run = path.read_text().split()
                found[name] = RowMetadata(name, name, etag, MODEL, run)
        yield found

    def store(self, row: VectorItem) -> ImageFailure | None:
        number = int(row.image_id.split("-")[0])
        assert np.frombuffer(row.vector, "<f4").tolist() == [float(number)] * 4
        draft = self.folder / f".{row.image_id}.{os.getpid()}"
        draft.write_text(f"{row.etag} {row.run}")
        draft.rename(self.folder / row.image_id)
        with (self.folder / ".log").open("a") as log:
            log.write(f"{row.image_id} {os.getpid()}\n")
        return None

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def writes(self) -> list[str]:
        return (self.folder / ".log").read_text().split()[::2]

    def writers(self) -> Counter[int]:
        """How many rows each process has written."""
        return Counter(map(int, (self.folder / ".log").read_text().split()[1::2]))


class Panic(BaseException):
    """What pyo3 makes of a panic in Rust: no Exception."""


@dataclass
class FolderEmbedder:
    """A ShardEmbedder, and what loads it: an image's key, "NUMBER-WHAT", says what its decoding does to the process."""

    folder: Path
    decode_seconds: float = 0.0
    embed_seconds: float = 0.0
    at_load: Callable[[], None] = field(default=lambda: None)
    bad_to_embed: Container[int] = ()
    bad_to_store: Container[int] = ()

    def __call__(self, context: ShardContext, hooks: ProcessHooks) -> Self:
        # pytest's would print where each crash was.
        faulthandler.disable()
        self.at_load()
        self.running = "fake float32"
        table = self._table = FolderTable(self.folder)
        self._job = ShardJob(
            ShardTask(context.run, MODEL, 4, "float32", context.reembed, context.settings.batch_size),
            table,
            hooks,
            fetch=self._fetch,
            prepare=self._prepare,
            embed=self._embed,
            store=self._store,
            download_threads=4,
            write_threads=2,
        )
        return self

    def run(self, chunks: Iterable[Chunk]) -> None:
        self._job.run(chunks)

    def usage(self) -> ProcessUsage:
        return ProcessUsage(self._job.totals.stages, self._job.totals.downloaded_bytes, 3.0, 1.0, peak_memory_mb())

    def _fetch(self, image: ShardImage) -> FetchedImage:
        what = image.key.split("-")[1]
        if what == "panic":
            raise Panic("request valid: InvalidHeaderValue")
        if what == "lost":
            ctypes.string_at(0)
        if what == "refused":
            raise ImageRejected(FailureReason.UNREADABLE, "S3 refuses it (InvalidRequest).")
        return FetchedImage(image.key.encode(), datetime.now(UTC))

    def _prepare(self, data: bytes) -> Picture:
        number, what = data.decode().split("-")
        time.sleep(self.decode_seconds)
        if what == "crash" or (what == "once" and not self._was_here(number)):
            ctypes.string_at(0)
        if what == "hang":
            time.sleep(1000)
        if what == "bad":
            raise ImageRejected(FailureReason.TRUNCATED, "cut off")
        if what in dir(errors):
            raise getattr(errors, what)("something is away", remedy="Wait.")
        if what == "bug":
            raise ZeroDivisionError("a bug")
        return Picture(np.full((2, 2, 3), int(number), np.float32), what == "blank")

    def _store(self, row: VectorItem) -> ImageFailure | None:
        if int(row.image_id.split("-")[0]) in self.bad_to_store:
            raise UnicodeEncodeError("utf-8", "", 0, 1, "a bug")
        return self._table.store(row)

    def _was_here(self, number: str) -> bool:
        marker = self.folder / f".was-here-{number}"
        was_here = marker.exists()
        marker.touch()
        return was_here

    def _embed(self, pixels: Sequence[Any]) -> Any:
        time.sleep(self.embed_seconds)
        if any(int(image[0, 0, 0]) in self.bad_to_embed for image in pixels):
            ctypes.string_at(0)
        return np.array([[image[0, 0, 0]] * 4 for image in pixels], np.float32)


def images(count: int, **kinds: Iterable[int]) -> list[ShardImage]:
    """`count` images, those of the numbers in `kinds` of that kind, all others good."""
    what = {number: kind for kind, numbers in kinds.items() for number in numbers}
    names = [f"{number}-{what.get(number, 'good')}" for number in range(count)]
    return [ShardImage(name, 10, f"e{name}", name) for name in names]
