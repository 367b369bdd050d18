"""The shard's lines on local disk, so that a few bytes tell a process which images are its own."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from stepvec.errors import RecordError, StorageError
from stepvec.runs.listing import ShardImage, parse_shard_line
from stepvec_worker.processes.messages import Deal


class ShardFile:
    """Lines of a shard in an unnamed file, which forked processes share. `images` is how many lines it has."""

    def __init__(self, descriptor: int, starts: array[int], where: str) -> None:
        self._descriptor = descriptor
        self._starts = starts
        self._where = where
        self.images = len(starts) - 1

    def chunk(self, number: int, first: int, count: int) -> Deal:
        """`count` lines from line `first` on as chunk `number`."""
        start, end = self._starts[first], self._starts[first + count]
        return Deal(number, first, count, start, end - start)

    def images_of(self, chunk: Deal) -> Iterator[tuple[int, ShardImage]]:
        """The chunk's images with their lines' numbers, without those to skip."""
        skip = frozenset(chunk.skip)
        # pread: the file's position is one for all processes that share it.
        text = os.pread(self._descriptor, chunk.length, chunk.offset)
        for line, fields in enumerate(io.BytesIO(text), chunk.first):
            if line not in skip:
                yield line, parse_shard_line(fields, where=self._where, number=line + 1)

    def image(self, line: int) -> ShardImage:
        """The image in one line."""
        ((_, image),) = self.images_of(self.chunk(0, line, 1))
        return image


@contextmanager
def open_shard(stream: IO[bytes], where: str) -> Iterator[ShardFile]:
    """The shard in `stream`, its gzipped form, each line checked. Raises RecordError, StorageError for a full disk."""
    with tempfile.TemporaryFile() as file:
        starts = array("Q", [0])
        try:
            for line in _checked_lines(stream, where):
                file.write(line)
                starts.append(starts[-1] + len(line))
            file.flush()
        except OSError as error:
            raise StorageError(
                f"The lines of {where} cannot be written to {tempfile.gettempdir()}: {error.strerror}.",
                remedy="Give the worker's container more room there, or make shards smaller (ShardSize).",
            ) from error
        yield ShardFile(file.fileno(), starts, where)


def _checked_lines(stream: IO[bytes], where: str) -> Iterator[bytes]:
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
            parse_shard_line(line, where=where, number=number)
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecordError(f"{where} is no gzip file: {error}.", remedy="Start the run again.") from error
