"""Rows on their way to DynamoDB: 25 at a time, in a thread of their own, a bounded number ahead."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Protocol, Self

from stepvec.item import VectorItem
from stepvec.limits import BATCH_WRITE_ITEMS

BATCHES_AHEAD: Final = 8
"""Batches written or waiting at a time: 200 rows of 2 KB."""


class RowTable(Protocol):
    """What the writer needs of VectorTable."""

    def put(self, items: list[VectorItem]) -> None:
        """As VectorTable.put."""
        ...


class RowWriter:
    """Writes rows in the background. Leaving its block writes what is left, also after an error elsewhere.

    `seconds` is the time spent writing. Errors of writing are raised by the next `add`, or at the block's end.
    """

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._rows: list[VectorItem] = []
        self._pending: deque[Future[None]] = deque()
        self.seconds = 0.0
        self.written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.flush()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def add(self, row: VectorItem) -> None:
        """Take one row; waits while too many are under way."""
        self._rows.append(row)
        if len(self._rows) == BATCH_WRITE_ITEMS:
            self._send()

    def flush(self) -> None:
        """Return when every row taken is stored."""
        if self._rows:
            self._send()
        while self._pending:
            self._pending.popleft().result()

    def _send(self) -> None:
        batch, self._rows = self._rows, []
        while len(self._pending) >= BATCHES_AHEAD or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._put, batch))

    def _put(self, batch: list[VectorItem]) -> None:
        start = time.perf_counter()
        self._table.put(batch)
        self.seconds += time.perf_counter() - start
        self.written += len(batch)
