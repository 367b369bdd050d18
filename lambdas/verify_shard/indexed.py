"""Whose vector the index has: read back by key, and held against the rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from stepvec.rows.indexed import IndexEntries, lacking
from stepvec.rows.item import MetadataTable, RowMetadata, VectorItem


class RowTable(MetadataTable, Protocol):
    """What is needed of VectorTable."""

    def items(self, image_ids: Iterable[str]) -> Iterator[VectorItem]:
        """As VectorTable.items."""
        ...


@dataclass(frozen=True, slots=True)
class IndexVerdict:
    """The ids of rows whose vector the index lacks, or has of another row; and of those that it cannot take."""

    lacking: Collection[str]
    not_indexable: Collection[str]


NO_INDEX = IndexVerdict(frozenset(), frozenset())
"""Where the deployment has none."""


def compare(index: IndexEntries, table: RowTable, rows: Mapping[str, RowMetadata]) -> IndexVerdict:
    """Hold the index against these rows, by image id.

    A row that is written again between its reading and the index's has another vector there by then: what differs is
    read once more, the row first. Reads of S3 Vectors are strongly consistent. Raises StorageError.
    """
    differing = lacking(index, rows)
    if not differing:
        return NO_INDEX
    again: dict[str, RowMetadata] = {}
    for batch in table.metadata(differing, consistent=True):
        again.update(batch)
    differing = lacking(index, again)
    zeros = frozenset(item.image_id for item in table.items(differing) if item.is_zero)
    return IndexVerdict(frozenset(differing) - zeros, zeros)
