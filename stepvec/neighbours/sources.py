"""Which rows of which exports an index should have, and reading just those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.errors import InvalidInputError
from stepvec.export.reading import BATCH_ROWS, Export
from stepvec.neighbours.segment import MARK, ROW_COLUMNS, marks_of

_MARK_COLUMNS: Final = ("image_id", "key", "etag", "created")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that an index should have: the newest of each image id, by their places in the exports.

    A place is the number that a row has when the exports' rows are counted through. `new` says which of these rows the
    index does not have yet.
    """

    places: npt.NDArray[np.int64]
    marks: npt.NDArray[Any]
    new: npt.NDArray[np.bool_]


def list_wanted(exports: Sequence[Export], report: Callable[[str], None]) -> Wanted:
    """The newest row of each image id in `exports`, all `new`; of equally new ones, that of the later export."""
    total = sum(export.manifest.rows for export in exports)
    marks = np.empty(total, MARK)
    created = np.empty(total, np.int64)
    start = 0
    for export in exports:
        for batch in export.batches(_MARK_COLUMNS):
            stop = start + len(batch)
            marks[start:stop] = marks_of(batch)
            created[start:stop] = batch["created"].cast(pa.int64()).to_numpy()
            start = stop
            report(f"Read {start:,} of {total:,} rows")
    if start != total:
        raise InvalidInputError(
            f"The exports have {start:,} rows, and their manifests say {total:,}.", remedy="Export again."
        )
    places = np.arange(total)
    if len(exports) > 1:
        order = np.lexsort((places, created, marks["id"]))
        ids = marks["id"][order]
        last = np.append(ids[1:] != ids[:-1], True)
        places = np.sort(order[last])
        marks = marks[places]
    return Wanted(places, marks, np.ones(len(places), np.bool_))


def wanted_batches(exports: Sequence[Export], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """The rows that are still new, in order, with their vectors; row groups without one are not read."""
    places = wanted.places[wanted.new]
    columns = [*ROW_COLUMNS, "vector"]
    start = 0
    for export in exports:
        for entry in export.manifest.files:
            with pq.ParquetFile(export.folder / entry.name) as file:
                for group in range(file.num_row_groups):
                    stop = start + file.metadata.row_group(group).num_rows
                    here = places[np.searchsorted(places, start) : np.searchsorted(places, stop)] - start
                    if len(here):
                        yield from _chosen(file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns), here)
                    start = stop


def _chosen(batches: Iterator[pa.RecordBatch], rows: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """Those `rows` of some batches, counted through; in ascending order."""
    start = 0
    for batch in batches:
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(batch))] - start
        start += len(batch)
        if len(here) == len(batch):
            yield batch
        elif len(here):
            yield batch.take(pa.array(here))
