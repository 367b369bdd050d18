"""A row for an object's newest version only: what happens when two versions of one object meet in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from stepvec.adapters.object_store import ObjectVersion
from stepvec.errors import StorageError
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.outcome import FailureReason, ImageFailure

ROUNDS: Final = 5
"""Times that a row may change under our hands; each needs another run that writes the same row at that moment."""


class RowTable(Protocol):
    """What is needed of VectorTable."""

    def put(self, item: VectorItem, *, over: RowMetadata | None = None) -> RowMetadata | None:
        """As VectorTable.put."""
        ...


def store_newest(
    table: RowTable, item: VectorItem, current: Callable[[str], ObjectVersion | None]
) -> ImageFailure | None:
    """Store the row, or say why not: a newer version of its object is stored already.

    The table refuses a row of an older version, and of another version of the same second. Only then is S3 asked
    which version the object has now (`current`, by its key). If it is ours after all (it was of the same second, or
    an older version of a versioned bucket was brought back), our row replaces just the one that stood in its way.
    """
    standing = table.put(item)
    for _ in range(ROUNDS):
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
        f"The row of {item.image_id!r} was changed {ROUNDS} times while it was written.",
        remedy="Do not run several executions over the same images; start again: only what is missing is done.",
    )


def _failure(item: VectorItem, reason: FailureReason, message: str) -> ImageFailure:
    return ImageFailure(item.key, item.image_id, reason, message)
