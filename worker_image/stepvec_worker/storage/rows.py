"""Rows on their way to DynamoDB: written in threads of their own, and only for an object's newest version."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from stepvec.adapters.object_store import ObjectVersion
from stepvec.errors import StorageError
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.outcome import FailureReason, ImageFailure

MAX_ROWS_AHEAD: Final = 200
"""Rows being written or waiting at a time, of 2 to 6 KB."""
PUT_ATTEMPTS: Final = 5
"""Times that a row may change while we write it; each needs another run that writes the same row at that moment."""

WriteRow = Callable[[], ImageFailure | None]
"""Writes one row; returns why it was refused."""
OnStored = Callable[[ImageFailure | None], None]
"""Called with the outcome of a row when it is stored or refused, in the thread that wrote it."""


class RowTable(Protocol):
    """What is needed of VectorTable."""

    def put(self, item: VectorItem, *, over: RowMetadata | None = None) -> RowMetadata | None:
        """As VectorTable.put."""
        ...


def put_if_newest(
    table: RowTable, item: VectorItem, current: Callable[[str], ObjectVersion | None]
) -> ImageFailure | None:
    """Store the row, or say why not: a newer version of its object is stored already.

    The table refuses a row of an older version, and of another version of the same second. Only then is S3 asked
    which version the object has now (`current`, by its key). If it is ours after all (it was of the same second, or
    an older version of a versioned bucket was brought back), our row replaces just the one that stood in its way.
    """
    standing = table.put(item)
    for _ in range(PUT_ATTEMPTS):
        if standing is None:
            return None
        version = current(item.key)
        if version is None:
            return _failure(item, FailureReason.NOT_FOUND, "The object is gone since it was embedded.")
        if version.etag != item.etag:
            message = "The object was overwritten, and a newer version of it is stored already."
            return _failure(item, FailureReason.CHANGED, message)
        item = replace(item, modified=version.modified)
        standing = table.put(item, over=standing)
    raise StorageError(
        f"The row of {item.image_id!r} was changed {PUT_ATTEMPTS} times while it was written.",
        remedy="Do not run several executions over the same images; start again: only what is missing is done.",
    )


def _failure(item: VectorItem, reason: FailureReason, message: str) -> ImageFailure:
    return ImageFailure(item.key, item.image_id, reason, message)


class RowWriter:
    """Writes rows in the background. Leaving its block writes the remaining ones, also after an error elsewhere.

    Errors of writing are raised by the next `add`, by `flush`, or at the block's end.
    """

    def __init__(self, threads: int) -> None:
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

    def add(self, write: WriteRow, on_stored: OnStored) -> None:
        """Take one row to write; waits while too many are under way."""
        while len(self._pending) >= MAX_ROWS_AHEAD or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, write, on_stored))

    def flush(self) -> None:
        """Return when every row taken is stored or refused."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, write: WriteRow, on_stored: OnStored) -> None:
        start = time.perf_counter()
        failure = write()
        with self._lock:
            self._seconds += time.perf_counter() - start
        on_stored(failure)
