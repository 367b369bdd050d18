"""Search without an index: a small table read through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stepvec.client.vectors import VectorBatch
from stepvec.errors import InvalidInputError
from stepvec.neighbours.exact import NOBODY, Neighbours, best_of, nearest_rows, none_for, unit
from stepvec.neighbours.segment import EXACT_BELOW


class FoundImage(NamedTuple):
    """An image that a search found, and its cosine to the query."""

    key: str
    image_id: str
    similarity: float


def nearest_in_batches(
    batches: Iterable[VectorBatch], query: npt.NDArray[Any], count: int, *, without: str = ""
) -> list[FoundImage]:
    """The `count` nearest to `query` (D), exactly, of all but the image id `without`; memory is that of a batch.

    Raises InvalidInputError at EXACT_BELOW rows: to read so many for each search is not worth it.
    """
    best = none_for(1, 0)
    names: dict[int, tuple[str, str]] = {}
    start = 0
    for batch in batches:
        allowed = np.array([image_id != without for image_id in batch.ids])
        found = nearest_rows(unit(query[None]), unit(batch.vectors), count, allowed)
        for row in found.rows[0][found.rows[0] != NOBODY].tolist():
            names[start + row] = batch.keys[row], batch.ids[row]
        rows = np.where(found.rows == NOBODY, NOBODY, found.rows + start)
        best = best_of([best, Neighbours(rows, found.similarities)], count)
        start += len(batch.ids)
        if start >= EXACT_BELOW:
            raise InvalidInputError(
                f"The table has {EXACT_BELOW:,} rows or more, which a search does not read through.",
                remedy="Export it once and make an index: `stepvec export --out vectors; stepvec index vectors`.",
            )
        names = {row: names[row] for row in best.rows[0].tolist() if row != NOBODY}
    return [
        FoundImage(*names[row], float(similarity))
        for row, similarity in zip(best.rows[0].tolist(), best.similarities[0].tolist(), strict=True)
        if row != NOBODY
    ]
