"""The invariant of an index of S3 Vectors: what the table holds, it holds, once, and nothing else. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from stepvec.rows.indexed import decode_entry, entry_of
from stepvec.rows.item import VectorItem, decode_item, metadata_of
from stepvec.rows.vectors import decode_vector
from stepvec.runs.reports import RunReport


def doubled(vectors: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Keys that a listing of the index gives more than once: a line each."""
    for key, count in Counter(vector["key"] for vector in vectors).items():
        if count > 1:
            yield f"{key} is {count} times in the index"


def not_indexed(
    rows: Iterable[Mapping[str, Any]], vectors: Iterable[Mapping[str, Any]], keys: Collection[str]
) -> Iterator[str]:
    """Rows of `keys` whose vector the index lacks, or has of another row, or with other numbers: a line each."""
    held = {vector["key"]: vector for vector in vectors}
    for row in (decode_item(item) for item in rows):
        if row.key in keys and (what := _difference(row, held.get(row.image_id))):
            yield f"{row.image_id} {what}"


def without_row(rows: Iterable[Mapping[str, Any]], vectors: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Vectors whose image has no row: a line each."""
    ids = {item["ImageId"]["S"] for item in rows}
    return (f"{vector['key']} is in the index and has no row" for vector in vectors if vector["key"] not in ids)


def miscounted(report: RunReport) -> Iterator[str]:
    """A line where a complete run's report says that not everything is in the index."""
    if report.complete and report.indexed != report.found - report.not_indexable:
        yield f"the report of {report.run} says found {report.found} and indexed {report.indexed}"


def _difference(row: VectorItem, vector: Mapping[str, Any] | None) -> str:
    if vector is None:
        return "is not in the index"
    if decode_entry(vector["key"], vector.get("metadata")) != entry_of(metadata_of(row)):
        return "has the vector of another row in the index"
    if not np.array_equal(np.array(vector["data"]["float32"], np.float32), decode_vector(row)):
        return "has other numbers in the index"
    return ""
