"""Rows on their way to DynamoDB: in threads of their own, a bounded number ahead."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from stepvec.rows.item import VectorItem
from stepvec.runs.outcome import ImageFailure

ROWS_AHEAD: Final = 200
"""Rows written or waiting at a time, of 2 to 6 KB."""

Store = Callable[[VectorItem], ImageFailure | None]
"""Writes one row; gives why it was refused."""
Settle = Callable[[ImageFailure | None], None]
"""Told what became of a row, when it is stored or refused, in the thread that wrote it."""


class RowWriter:
    """Writes rows in the background. Leaving its block writes what is left, also after an error elsewhere.

    Errors of writing are raised by the next `add`, by `flush`, or at the block's end.
    """

    def __init__(self, store: Store, threads: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="write")
        self._pending: deque[Future[None]] = deque()
        self._lock = threading.Lock()
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Time spent writing, over all threads."""
        return self._seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.flush()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def add(self, row: VectorItem, settle: Settle) -> None:
        """Take one row; waits while too many are under way."""
        while len(self._pending) >= ROWS_AHEAD or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, row, settle))

    def flush(self) -> None:
        """Return when every row taken is stored or refused."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, row: VectorItem, settle: Settle) -> None:
        start = time.perf_counter()
        failure = self._store(row)
        with self._lock:
            self._seconds += time.perf_counter() - start
        settle(failure)
