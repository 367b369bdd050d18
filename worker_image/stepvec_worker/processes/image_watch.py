"""Which images a process has in hand, and since when, where its supervisor can see it even after the process has died.

A page of shared memory, made before the process is forked. Each image in hand has a slot of its own.
"""

from __future__ import annotations

import math
import mmap
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from queue import SimpleQueue
from typing import Final

from stepvec.errors import StepvecError

_SLOT: Final = struct.Struct("dqqq")
"""Seconds of CLOCK_MONOTONIC, which all processes of a machine share (0: nothing in hand); chunk; line; work.

Native and aligned, so that the supervisor never sees half a number.
"""
_SINCE: Final = struct.Struct("d")
_WORK: Final = struct.Struct("q")
_WORK_OFFSET: Final = 24
_IDLE: Final = 0.0


class Work(IntEnum):
    """What a process does with an image."""

    FETCHING = 0
    DECODING = 1
    EMBEDDING = 2
    STORING = 3
    WAITING = 4
    """For its turn to be decoded: nothing is done with it."""


@dataclass(frozen=True, slots=True)
class InHand:
    """An image in hand: the chunk it was leased in, its line in the shard, and since when (time.monotonic)."""

    chunk: int
    line: int
    since: float
    work: Work = Work.DECODING


class ImageWatch:
    """The slots of one embedding process, and the bound on how many images it decodes at a time."""

    def __init__(self, slots: int, decoders: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, slots * _SLOT.size)
        self._decoders = threading.BoundedSemaphore(decoders)
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)

    @contextmanager
    def holding(self, work: Work, chunk: int, line: int) -> Iterator[int]:
        """In the embedding process: this image is in hand. Waits while every slot is taken; gives the slot.

        An error that is neither the machine's (StepvecError) nor handled within leaves the mark: it ends the process,
        and the supervisor finds the image to blame.
        """
        slot = self._free.get()
        # The time is written last and removed first: a slot with a time always names its image.
        _SLOT.pack_into(self._memory, slot * _SLOT.size, _IDLE, chunk, line, work)
        self._set_since(slot, time.monotonic())
        try:
            yield slot
        except StepvecError:
            self._release(slot)
            raise
        except BaseException:
            self._set_since(slot, math.inf)  # never overdue
            raise
        self._release(slot)

    @contextmanager
    def decoding(self, slot: int) -> Iterator[None]:
        """In the embedding process: the image of `slot` is in decode. Waits while as many are as may be."""
        self._set_work(slot, Work.WAITING)
        with self._decoders:
            self._set_since(slot, time.monotonic())
            self._set_work(slot, Work.DECODING)
            yield
            self._set_work(slot, Work.FETCHING)

    @contextmanager
    def holding_all(self, work: Work, images: list[tuple[int, int]]) -> Iterator[None]:
        """As `holding`, for the images of a batch: their chunks and lines."""
        with ExitStack() as stack:
            for chunk, line in images:
                stack.enter_context(self.holding(work, chunk, line))
            yield

    def in_hand(self) -> list[InHand]:
        """In the supervisor: what is in hand now, or was when the process died."""
        found = []
        for slot in range(self._slots):
            since, chunk, line, work = _SLOT.unpack_from(self._memory, slot * _SLOT.size)
            if since != _IDLE and work != Work.WAITING:
                found.append(InHand(chunk, line, since, Work(work)))
        return found

    def overdue(self, limit_seconds: float) -> list[InHand]:
        """In the supervisor: the images in decode for longer than `limit_seconds`."""
        latest = time.monotonic() - limit_seconds
        return [image for image in self.in_hand() if image.work is Work.DECODING and image.since < latest]

    def close(self) -> None:
        """Release the page."""
        self._memory.close()

    def _release(self, slot: int) -> None:
        self._set_since(slot, _IDLE)
        self._free.put(slot)

    def _set_since(self, slot: int, since: float) -> None:
        _SINCE.pack_into(self._memory, slot * _SLOT.size, since)

    def _set_work(self, slot: int, work: Work) -> None:
        _WORK.pack_into(self._memory, slot * _SLOT.size + _WORK_OFFSET, work)
