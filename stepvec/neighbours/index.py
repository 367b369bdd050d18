"""The index of an export: the nearest of any vector, of any of its images, and of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from stepvec import codec
from stepvec.errors import InvalidInputError
from stepvec.export.format import INDEX
from stepvec.neighbours.exact import NOBODY, QUERIES, Floats, Neighbours, best_of, none_for, unit, without_self
from stepvec.neighbours.manifest import FORMAT, MANIFEST, IndexManifest
from stepvec.neighbours.segment import IndexedRow, Segment

TextColumn = Literal["image_id", "key", "etag"]


class NearestOfSome(NamedTuple):
    """The nearest of the index's own `rows` (Q), in the order of these."""

    rows: npt.NDArray[np.int64]
    neighbours: Neighbours


class Index:
    """An index as it was when it was opened. A row's number is good until the index changes.

    It reads what it needs of its files when it needs it: memory is that of a search, not that of the index.
    """

    def __init__(self, folder: Path, manifest: IndexManifest) -> None:
        self.manifest = manifest
        self._segments = [Segment(folder, entry) for entry in manifest.segments]
        self._offsets = np.cumsum([0, *(entry.rows for entry in manifest.segments)])

    @classmethod
    def open(cls, export: Path) -> Index:
        """The index beside the export in this folder. Raises InvalidInputError where there is none."""
        manifest = read_manifest(export)
        if manifest is None:
            raise InvalidInputError(
                f"There is no index in {export}.",
                remedy=f"Make it: `stepvec index {export}`, of an export (`stepvec export --out {export}`).",
            )
        return cls(export / INDEX, manifest)

    def __len__(self) -> int:
        return sum(entry.alive_rows for entry in self.manifest.segments)

    @property
    def model(self) -> str:
        """What all vectors were made with. A query of another model has no meaning here."""
        return self.manifest.model

    @property
    def recall(self) -> float:
        """The share of the 10 nearest that a search finds, as it was measured when the index was made; 1 if exact."""
        rows = [(entry.alive_rows, entry.recall) for entry in self.manifest.segments]
        return sum(count * recall for count, recall in rows) / max(1, sum(count for count, _ in rows))

    @property
    def highest_row(self) -> int:
        """The highest number that a row has; -1 where there are none."""
        return int(self._offsets[-1]) - 1

    def row_of(self, name: str) -> int | None:
        """The row of the image with this key, or else with this image id."""
        for column in ("key", "image_id"):
            for segment, offset in zip(self._segments, self._offsets, strict=False):
                if (found := segment.find(column, name)) is not None:
                    return int(offset) + found
        return None

    def row(self, number: int) -> IndexedRow:
        """What is known of the image of a row."""
        segment, local = self._place(number)
        return self._segments[segment].row(local)

    def texts(self, column: TextColumn, rows: npt.NDArray[np.int64]) -> list[str]:
        """What a column says of rows in ascending order."""
        return [text for segment, local in self._by_segment(rows) for text in segment.texts(column, local)]

    def vectors(self, rows: Iterable[int]) -> Floats:
        """The vectors of rows, (N, D), of length 1."""
        places = [self._place(row) for row in rows]
        vectors = [np.asarray(self._segments[segment].vectors[local], np.float32) for segment, local in places]
        return np.stack(vectors) if vectors else np.empty((0, self.manifest.dimension), np.float32)

    def all_rows(self) -> npt.NDArray[np.int64]:
        """The numbers of all rows, in ascending order."""
        numbers: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        for segment, offset in zip(self._segments, self._offsets, strict=False):
            rows = np.arange(segment.entry.rows) if segment.alive is None else np.flatnonzero(segment.alive)
            numbers.append(rows + offset)
        return np.concatenate(numbers)

    def nearest(
        self, vectors: npt.NDArray[Any], count: int, *, allowed: npt.NDArray[np.bool_] | None = None
    ) -> Neighbours:
        """The `count` nearest of the index to each of `vectors` (Q, D), of any length, best first.

        `allowed` has a truth value for each number up to `highest_row`.
        """
        queries = unit(vectors)
        found = [none_for(len(queries), 0)]
        for segment, offset in zip(self._segments, self._offsets, strict=False):
            part = None if allowed is None else allowed[offset : offset + segment.entry.rows]
            local = segment.nearest(queries, count, part)
            found.append(Neighbours(np.where(local.rows == NOBODY, NOBODY, local.rows + offset), local.similarities))
        return best_of(found, count)

    def nearest_of_row(self, row: int, count: int) -> Neighbours:
        """As nearest, of an image of the index, itself left out."""
        return without_self(self.nearest(self.vectors([row]), count + 1), np.array([row]))

    def nearest_of_all(self, count: int, *, allowed: npt.NDArray[np.bool_] | None = None) -> Iterator[NearestOfSome]:
        """The `count` nearest others of every row, some rows at a time in ascending order; of `allowed` ones only."""
        rows = self.all_rows()
        if allowed is not None:
            rows = rows[allowed[rows]]
        for start in range(0, len(rows), QUERIES):
            some = rows[start : start + QUERIES]
            found = self.nearest(self._some_vectors(some), count + 1, allowed=allowed)
            yield NearestOfSome(some, without_self(found, some))

    def vector_batches(self) -> Iterator[tuple[npt.NDArray[np.int64], Floats]]:
        """All rows with their vectors, some at a time in ascending order."""
        rows = self.all_rows()
        for start in range(0, len(rows), QUERIES):
            yield rows[start : start + QUERIES], self._some_vectors(rows[start : start + QUERIES])

    def _some_vectors(self, rows: npt.NDArray[np.int64]) -> Floats:
        """As vectors, of many rows in ascending order."""
        parts = [np.asarray(segment.vectors[local], np.float32) for segment, local in self._by_segment(rows)]
        return np.concatenate(parts)

    def _by_segment(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[Segment, npt.NDArray[np.int64]]]:
        """Each segment with those of `rows` that are its own, counted from its first."""
        for segment, offset in zip(self._segments, self._offsets, strict=False):
            yield segment, rows[(rows >= offset) & (rows < offset + segment.entry.rows)] - offset

    def _place(self, row: int) -> tuple[int, int]:
        if not 0 <= row < self._offsets[-1]:
            raise IndexError(f"the index has no row {row}")
        segment = int(np.searchsorted(self._offsets, row, side="right")) - 1
        return segment, int(row - self._offsets[segment])


def read_manifest(export: Path) -> IndexManifest | None:
    """What the index beside this export says of itself; None where there is none, or one of another format."""
    file = export / INDEX / MANIFEST
    try:
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    document = codec.from_json(dict, text, where=str(file))
    if document.get("format") != FORMAT:
        return None
    return codec.from_document(IndexManifest, document, where=str(file))
