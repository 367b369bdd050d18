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
from dataclasses import dataclass
from typing import IO

from stepvec.errors import RecordError, StorageError
from stepvec.runs.listing import ShardImage, parse_shard_line


@dataclass(frozen=True, slots=True)
class Lease:
    """Lines of the shard that one process has to itself until it acknowledges them.

    chunk: its number, by which it is acknowledged. first, count: the number of its first line in the shard, from 0,
    and how many there are. offset, length: where their bytes are. skip: numbers of lines that have their outcome
    already. is_quarantined: one line that may kill its process; finish it before anything else is begun.
    was_leased: another process or an earlier attempt may have stored some of these lines.
    """

    chunk: int
    first: int
    count: int
    offset: int
    length: int
    skip: tuple[int, ...] = ()
    is_quarantined: bool = False
    was_leased: bool = False


class ShardFile:
    """Lines of a shard in an unnamed file that forked processes share. `images` is how many lines it has."""

    def __init__(self, descriptor: int, starts: array[int], where: str) -> None:
        self._descriptor = descriptor
        self._starts = starts
        self._where = where
        self.images = len(starts) - 1

    def lease(self, chunk: int, first: int, count: int) -> Lease:
        """`count` lines from line `first` on as chunk `chunk`."""
        start, end = self._starts[first], self._starts[first + count]
        return Lease(chunk, first, count, start, end - start)

    def images_of(self, lease: Lease) -> Iterator[tuple[int, ShardImage]]:
        """The leased images with their line numbers, without those to skip."""
        skip = frozenset(lease.skip)
        # pread: the processes that share this file share its position too.
        text = os.pread(self._descriptor, lease.length, lease.offset)
        for line, fields in enumerate(io.BytesIO(text), lease.first):
            if line not in skip:
                yield line, parse_shard_line(fields, where=self._where, number=line + 1)

    def image(self, line: int) -> ShardImage:
        """The image in one line."""
        ((_, image),) = self.images_of(self.lease(0, line, 1))
        return image


@contextmanager
def open_shard(stream: IO[bytes], where: str) -> Iterator[ShardFile]:
    """The gzipped shard in `stream`, each line checked. Raises RecordError, and StorageError for a full disk."""
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
                remedy="Give the worker's container more disk space, or make shards smaller (ShardSize).",
            ) from error
        yield ShardFile(file.fileno(), starts, where)


def _checked_lines(stream: IO[bytes], where: str) -> Iterator[bytes]:
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=stream, mode="rb"), 1):
            parse_shard_line(line, where=where, number=number)
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecordError(f"{where} is not a gzip file: {error}.", remedy="Start the run again.") from error
