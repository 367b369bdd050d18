"""The machine's capacity for Batch jobs: vCPUs, handed out first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_CHECK_SECONDS: Final = 0.1


class Slots:
    """`total` vCPUs. A job that asks for more gets all of them, so that every job can run."""

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"slots is {total}; at least 1 is needed")
        self._total = total
        self._free = total
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, vcpus: float, cancelled: Callable[[], bool]) -> Iterator[bool]:
        """Waits for its turn and for `vcpus` (rounded up, at least 1) to be free, and holds them.

        Gives False, and holds nothing, when `cancelled()` became true first.
        """
        count = min(max(1, -int(-vcpus // 1)), self._total)
        if not self._acquire(count, cancelled):
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    def _acquire(self, count: int, cancelled: Callable[[], bool]) -> bool:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or self._free < count:
                    if cancelled():
                        return False
                    self._changed.wait(_CHECK_SECONDS)
                self._free -= count
                return True
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
