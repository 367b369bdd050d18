"""Which process has which lines of the shard, and what becomes of them when it dies. Pure: no process, no pipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepvec_worker.processes.image_watch import InHand, Work
from stepvec_worker.storage.shard_file import Lease, ShardFile

CHUNK_IMAGES: Final = 100
"""Lines leased at a time: the metadata of as many rows is one request (stepvec.limits.BATCH_GET_ITEMS)."""
MIN_CHUNK_IMAGES: Final = 25
"""Towards the end of a shard chunks are smaller, so that its processes end at about the same time."""


@dataclass(frozen=True, slots=True)
class FailedLine:
    """A line whose image ended its process in quarantine, where nothing else was in that process, at this `work`."""

    line: int
    work: Work


class ShardQueue:
    """Leases a shard's lines to processes, which are named by numbers that are never used twice.

    Each line is acknowledged once, by the process that stored its row, or fails. What a lost process had not
    acknowledged is leased again; an image that it had in hand goes into quarantine: it gets a process to itself.
    `is_again`: an earlier attempt has had all of these lines.
    """

    def __init__(self, shard: ShardFile, processes: int, *, is_again: bool = False) -> None:
        self._shard = shard
        self._processes = processes
        self._is_again = is_again
        self._next_line = 0
        self._next_chunk = 0
        self._returned: deque[Lease] = deque()
        self._quarantine: deque[Lease] = deque()
        self._leased: dict[int, dict[int, Lease]] = {}
        self._fresh: set[int] = set()
        self._finishing: set[int] = set()

    @property
    def has_work(self) -> bool:
        """Whether a line is left that no living process has."""
        return bool(self._returned or self._quarantine) or self._next_line < self._shard.images

    @property
    def is_done(self) -> bool:
        """Whether each line is acknowledged or has failed."""
        return not self.has_work and not any(self._leased.values())

    def join(self, process: int) -> None:
        """A process begins. A new one takes what is in quarantine first, before it has anything else."""
        self._leased[process] = {}
        self._fresh.add(process)

    def lease(self, process: int) -> Lease | None:
        """What the process is to do next; None when nothing is left for it.

        None is final: the process ends then, and what a dying process gives back later is for another.
        """
        if process in self._finishing:
            return None
        lease = self._next_quarantined(process) or self._next()
        if lease is None:
            self._finishing.add(process)
        else:
            self._leased[process][lease.chunk] = lease
        return lease

    def acknowledge(self, process: int, chunk: int) -> None:
        """The process has stored the chunk."""
        del self._leased[process][chunk]

    def lose(self, process: int, in_hand: Sequence[InHand]) -> list[FailedLine]:
        """The process died, and these images in its hands may be why. Returns those that failed by it."""
        work = {image.line: image.work for image in in_hand}
        failed = []
        for lease in self._leased.pop(process).values():
            found = work.keys() & set(range(lease.first, lease.first + lease.count)) - set(lease.skip)
            if not lease.is_quarantined:
                self._quarantine.extend(self._quarantined(line) for line in sorted(found))
                self._returned.append(replace(lease, skip=(*lease.skip, *sorted(found)), was_leased=True))
            elif found:
                failed.append(FailedLine(lease.first, work[lease.first]))
            else:
                self._quarantine.appendleft(lease)
        self._forget(process)
        return failed

    def leave(self, process: int) -> None:
        """The process ended as it should, with nothing left."""
        self._forget(process)
        if self._leased.pop(process):
            raise AssertionError("a process ended before it acknowledged all that it had")

    def _forget(self, process: int) -> None:
        self._fresh.discard(process)
        self._finishing.discard(process)

    def _next_quarantined(self, process: int) -> Lease | None:
        if process not in self._fresh:
            return None
        if self._quarantine:
            return self._quarantine.popleft()
        self._fresh.discard(process)
        return None

    def _next(self) -> Lease | None:
        if self._returned:
            return self._returned.popleft()
        left = self._shard.images - self._next_line
        if not left:
            return None
        count = min(left, CHUNK_IMAGES, max(MIN_CHUNK_IMAGES, left // (2 * self._processes)))
        lease = self._shard.lease(self._new_number(), self._next_line, count)
        self._next_line += count
        return replace(lease, was_leased=self._is_again)

    def _quarantined(self, line: int) -> Lease:
        return replace(self._shard.lease(self._new_number(), line, 1), is_quarantined=True, was_leased=True)

    def _new_number(self) -> int:
        self._next_chunk += 1
        return self._next_chunk
