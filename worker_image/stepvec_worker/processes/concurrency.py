"""Threads that keep within bounds: a map that runs only so far ahead of its reader, and a budget of bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Source = TypeVar("Source")
Result = TypeVar("Result")


def concurrent_map(
    pool: Executor, function: Callable[[Source], Result], elements: Iterable[Source], *, ahead: int
) -> Iterator[Result]:
    """`function` of each element, in order, at most `ahead` of them started or finished and not yet read.

    Unlike Executor.map, which takes all elements at once, so that memory would grow with their number. Raises what
    `function` raised. Elements not yet started are dropped when the reader stops.
    """
    pending: deque[Future[Result]] = deque()
    try:
        for element in elements:
            pending.append(pool.submit(function, element))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


class ByteBudget:
    """At most so many bytes held at a time, over all threads. One element may be larger than the whole budget."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    def acquire(self, size: int) -> None:
        """Wait until `size` bytes fit, or nothing else is held."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size <= self._limit)
            self._held += size

    def release(self, size: int) -> None:
        """Return `size` bytes to the budget."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()
