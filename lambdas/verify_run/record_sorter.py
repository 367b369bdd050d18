"""Sorting records of fixed size on disk, so that memory does not grow with their number."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from stepvec.runs.known_failures import RECORD_BYTES

RECORDS_IN_MEMORY: Final = 250_000
"""Some 12 MB. More go to a file each, sorted, of the function's disk."""


class RecordSorter:
    """Gathers records and gives them back in order."""

    def __init__(self, in_memory: int = RECORDS_IN_MEMORY) -> None:
        self.count = 0
        self._in_memory = in_memory
        self._records: list[bytes] = []
        self._files: list[IO[bytes]] = []

    def add(self, record: bytes) -> None:
        """Take a record of RECORD_BYTES."""
        self.count += 1
        self._records.append(record)
        if len(self._records) >= self._in_memory:
            self._spill()

    def sorted(self) -> Iterator[bytes]:
        """All records, the smallest first. The files on disk are gone afterwards."""
        yield from heapq.merge(sorted(self._records), *map(_read, self._files))
        for file in self._files:
            file.close()

    def _spill(self) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been read
        file.write(b"".join(sorted(self._records)))
        self._records.clear()
        self._files.append(file)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while record := file.read(RECORD_BYTES):
        yield record
