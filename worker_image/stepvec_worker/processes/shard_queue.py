"""Who has which lines of the shard, and what becomes of them when a process dies. Pure: no process, no pipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepvec.runs.outcome import FailureReason
from stepvec_worker.processes.decode_watch import InDecode
from stepvec_worker.processes.messages import Deal
from stepvec_worker.storage.shard_file import ShardFile

CHUNK_IMAGES: Final = 100
"""Lines dealt at a time: the metadata of as many are one request (stepvec.limits.BATCH_GET_ITEMS)."""
SMALLEST_CHUNK_IMAGES: Final = 25
"""Towards the end of a shard chunks are smaller, so that its processes end at about the same time."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """An image whose decoding ended a process a second time, when nothing else was in that process."""

    line: int
    reason: FailureReason


class Dealer:
    """Deals a shard's lines to processes, named by numbers that are never used twice.

    Each line is acknowledged once, by the process that stored its row, or blamed. What a lost process had not
    acknowledged is dealt again; an image that it had in decode is a suspect, and gets a process to itself, once.
    """

    def __init__(self, shard: ShardFile, processes: int) -> None:
        self._shard = shard
        self._processes = processes
        self._next_line = 0
        self._next_chunk = 0
        self._returned: deque[Deal] = deque()
        self._suspects: deque[Deal] = deque()
        self._held: dict[int, dict[int, Deal]] = {}
        self._fresh: set[int] = set()
        self._finishing: set[int] = set()

    @property
    def has_work(self) -> bool:
        """Whether a line is left that no living process holds."""
        return bool(self._returned or self._suspects) or self._next_line < self._shard.images

    @property
    def is_done(self) -> bool:
        """Whether each line is acknowledged or blamed."""
        return not self.has_work and not any(self._held.values())

    def join(self, process: int) -> None:
        """A process begins. A new one takes suspects first, before it holds anything else."""
        self._held[process] = {}
        self._fresh.add(process)

    def deal(self, process: int) -> Deal | None:
        """What the process is to do next; None when nothing is left for it.

        None is the last word: it ends then, and what a dying process gives back later is for another.
        """
        if process in self._finishing:
            return None
        chunk = self._suspect(process) or self._next()
        if chunk is None:
            self._finishing.add(process)
        else:
            self._held[process][chunk.chunk] = chunk
        return chunk

    def acknowledge(self, process: int, chunk: int) -> None:
        """The process has stored the chunk."""
        del self._held[process][chunk]

    def lose(self, process: int, in_decode: Sequence[InDecode], reason: FailureReason) -> list[Blamed]:
        """The process died, with these images in decode. `reason` says how, for those that it is now clear of."""
        lines = {image.line for image in in_decode}
        blamed = []
        for chunk in self._held.pop(process).values():
            found = lines.intersection(range(chunk.first, chunk.first + chunk.count)) - set(chunk.skip)
            if not chunk.alone:
                self._suspects.extend(self._alone(line) for line in sorted(found))
                self._returned.append(replace(chunk, skip=(*chunk.skip, *sorted(found))))
            elif found:
                blamed.append(Blamed(chunk.first, reason))
            else:
                self._suspects.appendleft(chunk)
        self._forget(process)
        return blamed

    def leave(self, process: int) -> None:
        """The process ended as it should, with nothing left."""
        self._forget(process)
        if self._held.pop(process):
            raise AssertionError("a process ended before it acknowledged all that it held")

    def _forget(self, process: int) -> None:
        self._fresh.discard(process)
        self._finishing.discard(process)

    def _suspect(self, process: int) -> Deal | None:
        if process not in self._fresh:
            return None
        if self._suspects:
            return self._suspects.popleft()
        self._fresh.discard(process)
        return None

    def _next(self) -> Deal | None:
        if self._returned:
            return self._returned.popleft()
        left = self._shard.images - self._next_line
        if not left:
            return None
        count = min(left, CHUNK_IMAGES, max(SMALLEST_CHUNK_IMAGES, left // (2 * self._processes)))
        chunk = self._shard.chunk(self._new_number(), self._next_line, count)
        self._next_line += count
        return chunk

    def _alone(self, line: int) -> Deal:
        return replace(self._shard.chunk(self._new_number(), line, 1), alone=True)

    def _new_number(self) -> int:
        self._next_chunk += 1
        return self._next_chunk
