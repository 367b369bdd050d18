"""Exact nearest neighbours by matrix products, some rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

BLOCK_ROWS: Final = 8_192
"""Rows that are compared at a time: 40 MB of 1,280 numbers."""
QUERIES: Final = 1_024
"""Vectors that are looked for at a time, where all of an index or a folder are."""
NOBODY: Final = -1
"""In `Neighbours.rows`, where there are fewer than asked for."""

Floats = npt.NDArray[np.float32]


class Neighbours(NamedTuple):
    """The nearest of some queries, best first: `rows` and `similarities` (cosines) are both (queries, count).

    Where a query has fewer, `rows` is NOBODY and the similarity minus infinity.
    """

    rows: npt.NDArray[np.int64]
    similarities: Floats


def unit(vectors: npt.NDArray[Any]) -> Floats:
    """`vectors` (N, D) at length 1, as float32. One of length 0 stays so: it is like nothing, not even itself."""
    numbers = vectors.astype(np.float32, copy=False)
    # A vector of large float32 numbers has a length that float32 cannot hold.
    largest = np.abs(numbers).max(axis=1, keepdims=True, initial=0)
    scaled = numbers / np.where(largest == 0, 1, largest)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    result: Floats = scaled / np.where(lengths == 0, 1, lengths)
    return result


def nearest_rows(
    queries: Floats, stored: npt.NDArray[Any], count: int, allowed: npt.NDArray[np.bool_] | None = None
) -> Neighbours:
    """The `count` nearest of `stored` (N, D) to each of `queries` (Q, D), all of length 1; of `allowed` rows only.

    `stored` may be of any type of number, and on disk: memory is that of BLOCK_ROWS rows and of Q x BLOCK_ROWS cosines.
    """
    best = none_for(len(queries), 0)
    for start in range(0, len(stored), BLOCK_ROWS):
        block = np.asarray(stored[start : start + BLOCK_ROWS], np.float32)
        similarities = queries @ block.T
        if allowed is not None:
            similarities[:, ~allowed[start : start + BLOCK_ROWS]] = -np.inf
        rows = np.broadcast_to(np.arange(start, start + len(block)), similarities.shape)
        best = best_of([best, Neighbours(rows, similarities)], count)
    return best


def best_of(several: Sequence[Neighbours], count: int) -> Neighbours:
    """The `count` best of what several searches for the same queries found, or all where they are fewer."""
    rows = np.concatenate([found.rows for found in several], axis=1)
    similarities = np.concatenate([found.similarities for found in several], axis=1)
    if similarities.shape[1] > count:
        kept = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
        rows, similarities = np.take_along_axis(rows, kept, 1), np.take_along_axis(similarities, kept, 1)
    # Of equals the earlier row is first, so that the same search gives the same answer.
    order = np.lexsort((rows, -similarities), axis=1)
    rows, similarities = np.take_along_axis(rows, order, 1), np.take_along_axis(similarities, order, 1)
    return Neighbours(np.where(np.isneginf(similarities), NOBODY, rows), similarities)


def none_for(queries: int, count: int) -> Neighbours:
    """What a search that finds nobody gives."""
    return Neighbours(np.full((queries, count), NOBODY, np.int64), np.full((queries, count), -np.inf, np.float32))


def without_self(found: Neighbours, rows: npt.NDArray[np.int64]) -> Neighbours:
    """`found` without each query's own row, and one column less: the last goes where a row did not find itself."""
    own = found.rows == rows[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(rows), found.rows.shape[1] - 1)
    return Neighbours(found.rows[~own].reshape(shape), found.similarities[~own].reshape(shape))


def nearest_others(vectors: npt.NDArray[Any], count: int) -> Neighbours:
    """The `count` nearest others of each of `vectors` (N, D), of any length; N - 1 where there are fewer.

    Memory is that of QUERIES x N cosines.
    """
    stored, count = unit(vectors), min(count, len(vectors) - 1)
    if count < 1:
        return none_for(len(vectors), 0)
    parts = []
    for start in range(0, len(stored), QUERIES):
        queries = stored[start : start + QUERIES]
        found = nearest_rows(queries, stored, count + 1)
        parts.append(without_self(found, np.arange(start, start + len(queries))))
    return Neighbours(*map(np.concatenate, zip(*parts, strict=True)))
