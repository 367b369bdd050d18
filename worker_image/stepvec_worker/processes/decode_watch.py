"""Which image a process decodes, and since when, where its supervisor can see it even after the process has died.

A page of shared memory, made before the process is forked. Each decoding thread has its own slot.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

_SLOT: Final = struct.Struct("dqq")
"""Seconds of CLOCK_MONOTONIC, which all processes of a machine share (0: nothing in decode); chunk; line.

Native and aligned, so that the supervisor never sees half a number.
"""
_SINCE: Final = struct.Struct("d")
_IDLE: Final = 0.0


@dataclass(frozen=True, slots=True)
class InDecode:
    """An image in decode: the chunk it was leased in, its line in the shard, and since when (time.monotonic)."""

    chunk: int
    line: int
    since: float


class DecodeWatch:
    """The slots of one embedding process."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, slots * _SLOT.size)
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)

    @contextmanager
    def decoding(self, chunk: int, line: int) -> Iterator[None]:
        """In the embedding process: this image is in decode. Waits while every slot is taken."""
        slot = self._free.get()
        try:
            # The time is written last and removed first: a slot with a time always names its image.
            _SLOT.pack_into(self._memory, slot * _SLOT.size, _IDLE, chunk, line)
            _SINCE.pack_into(self._memory, slot * _SLOT.size, time.monotonic())
            yield
        finally:
            _SINCE.pack_into(self._memory, slot * _SLOT.size, _IDLE)
            self._free.put(slot)

    def in_decode(self) -> list[InDecode]:
        """In the supervisor: what is in decode now, or was when the process died."""
        found = []
        for slot in range(self._slots):
            since, chunk, line = _SLOT.unpack_from(self._memory, slot * _SLOT.size)
            if since != _IDLE:
                found.append(InDecode(chunk, line, since))
        return found

    def overdue(self, limit_seconds: float) -> bool:
        """In the supervisor: whether an image is in decode for longer than `limit_seconds`."""
        latest = time.monotonic() - limit_seconds
        return any(image.since < latest for image in self.in_decode())

    def close(self) -> None:
        """Release the page."""
        self._memory.close()
