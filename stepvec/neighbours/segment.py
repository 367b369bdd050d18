"""A segment: some rows of an index in files of their own, which never change once they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepvec.neighbours.exact import Floats, Neighbours, nearest_rows, none_for, unit
from stepvec.neighbours.lists import InvertedLists, build_lists
from stepvec.neighbours.manifest import SegmentEntry

EXACT_BELOW: Final = 100_000
"""Segments of fewer rows are compared row by row, which is exact; their vectors are float32, for speed."""
RECALL_GOAL: Final = 0.995
"""Of the 10 nearest, on a sample of the rows: more than the 0.99 that is promised, since other queries vary."""
RECALL_AT: Final = 10
SAMPLE: Final = 200
MOST_CANDIDATES: Final = 1_600
FEWEST_CANDIDATES: Final = 50
ROWS_FILE: Final = "rows.arrow"
VECTORS_FILE: Final = "vectors.npy"
MARKS_FILE: Final = "marks.npy"
LISTS_FILE: Final = "lists.faiss"
_BATCH_ROWS: Final = 65_536
_SEED: Final = 11

ROW_SCHEMA: Final = pa.schema(
    [
        ("image_id", pa.string()),
        ("key", pa.string()),
        ("etag", pa.string()),
        ("created", pa.timestamp("ms", "UTC")),
        ("modified", pa.timestamp("ms", "UTC")),
    ]
)
ROW_COLUMNS: Final = tuple(ROW_SCHEMA.names)
MARK: Final = np.dtype([("id", "<u8"), ("row", "<u8")])
"""Hashes of a row: of its id, and of all that changes when it is embedded again. Two of ten million ids share one in
one of 370,000 indexes."""


class IndexedRow(NamedTuple):
    """What the index knows of an image beside its vector. Times are UTC."""

    image_id: str
    key: str
    etag: str
    created: datetime
    modified: datetime | None


class Segment:
    """Rows 0 to `entry.rows` - 1 with their vectors (of length 1), of which `alive` says which still count."""

    def __init__(self, folder: Path, entry: SegmentEntry) -> None:
        self.entry = entry
        self.folder = folder / entry.name
        self.vectors: npt.NDArray[Any] = np.load(self.folder / VECTORS_FILE, mmap_mode="r")
        self.alive: npt.NDArray[np.bool_] | None = None
        if entry.alive:
            self.alive = np.load(folder / entry.alive)
        self._lists = InvertedLists(self.folder / LISTS_FILE) if entry.probes else None
        self._rows = pa.ipc.open_file(pa.memory_map(str(self.folder / ROWS_FILE)))

    def marks(self) -> npt.NDArray[Any]:
        """The rows' hashes, of dtype MARK."""
        marks: npt.NDArray[Any] = np.load(self.folder / MARKS_FILE, mmap_mode="r")
        return marks

    def row(self, number: int) -> IndexedRow:
        """One row."""
        batch = self._rows.get_batch(number // _BATCH_ROWS)
        return IndexedRow(*(column[number % _BATCH_ROWS].as_py() for column in batch.columns))

    def texts(self, column: str, rows: npt.NDArray[np.int64]) -> list[str]:
        """A column of some rows, in ascending order."""
        found: list[str] = []
        for number in np.unique(rows // _BATCH_ROWS).tolist():
            local = rows[rows // _BATCH_ROWS == number] - number * _BATCH_ROWS
            found += self._rows.get_batch(number)[column].take(pa.array(local)).to_pylist()
        return found

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, without vectors, 65,536 at a time."""
        for number in range(self._rows.num_record_batches):
            yield self._rows.get_batch(number)

    def find(self, column: str, text: str) -> int | None:
        """The first row that counts and whose `column` is `text`."""
        for number, batch in enumerate(self.batches()):
            for position in pc.indices_nonzero(pc.equal(batch[column], text)).to_pylist():
                row = number * _BATCH_ROWS + position
                if self.alive is None or self.alive[row]:
                    return int(row)
        return None

    def nearest(self, queries: Floats, count: int, allowed: npt.NDArray[np.bool_] | None = None) -> Neighbours:
        """The `count` nearest to `queries` (Q, D) of length 1 among the rows that count, and that are `allowed`."""
        if allowed is None:
            allowed = self.alive
        elif self.alive is not None:
            allowed = allowed & self.alive
        if self._lists is None:
            return nearest_rows(queries, self.vectors, count, allowed)
        entry = self.entry
        found = self._lists.candidates(queries, max(entry.candidates, 2 * count), probes=entry.probes, allowed=allowed)
        return compared(queries, self.vectors, found, count)


def compared(queries: Floats, vectors: npt.NDArray[Any], candidates: npt.NDArray[np.int64], count: int) -> Neighbours:
    """The `count` nearest to each query (Q, D) among its own `candidates` (Q, C), rows of `vectors` or -1."""
    best = none_for(len(queries), count)
    for number, (query, rows) in enumerate(zip(queries, candidates, strict=True)):
        # In order: neighbours on disk are read together.
        known = np.sort(rows[rows >= 0])
        similarities = np.asarray(vectors[known], np.float32) @ query
        order = np.argsort(-similarities, kind="stable")[:count]
        best.rows[number, : len(order)] = known[order]
        best.similarities[number, : len(order)] = similarities[order]
    return best


def batch_of(rows: Sequence[IndexedRow], vectors: Floats) -> pa.RecordBatch:
    """Rows with their `vectors` (N, D), in the columns of ROW_SCHEMA and `vector`, as an export has them."""
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), ROW_SCHEMA, strict=True)]
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
    return pa.RecordBatch.from_arrays([*columns, numbers], names=[*ROW_COLUMNS, "vector"])


def marks_of(batch: pa.RecordBatch) -> npt.NDArray[Any]:
    """The hashes of rows with at least the columns image_id, key, etag and created."""
    columns = [batch[name].to_pylist() for name in ("image_id", "key", "etag")]
    created = batch["created"].cast(pa.int64()).to_pylist()
    marks = np.empty(len(batch), MARK)
    marks["id"] = [_hash(image_id) for image_id in columns[0]]
    marks["row"] = [_hash(json.dumps(row)) for row in zip(*columns, created, strict=True)]
    return marks


def write_segment(
    folder: Path,
    name: str,
    rows: int,
    dimension: int,
    content: Iterable[tuple[pa.RecordBatch, npt.NDArray[Any]]],
    report: Callable[[str], None],
) -> SegmentEntry:
    """Write a segment of `rows` rows, given some at a time with their vectors (n, dimension), and describe it.

    Memory is that of some batches and of build_lists.
    """
    target = folder / name
    target.mkdir()
    vectors = _new_array(target / VECTORS_FILE, _numbers(rows), (rows, dimension))
    marks = _new_array(target / MARKS_FILE, MARK, (rows,))
    start = 0
    with pa.OSFile(str(target / ROWS_FILE), "wb") as file, pa.ipc.new_file(file, ROW_SCHEMA) as writer:
        for batch in _even_batches(_filled(content, vectors, marks)):
            writer.write_batch(batch)
            start += len(batch)
            report(f"Copied {start:,} of {rows:,} vectors")
    if start != rows:
        raise ValueError(f"{start} rows came, not {rows}")
    vectors.flush()
    marks.flush()
    if rows < EXACT_BELOW:
        return SegmentEntry(name, rows, rows, "", 0, 0, 1.0)
    build_lists(target / LISTS_FILE, vectors, report)
    report("Measuring the recall")
    probes, candidates, recall = calibrate(InvertedLists(target / LISTS_FILE), vectors)
    return SegmentEntry(name, rows, rows, "", probes, candidates, recall)


def calibrate(lists: InvertedLists, vectors: npt.NDArray[Any]) -> tuple[int, int, float]:
    """The fewest probes, then candidates, that find RECALL_GOAL of a sample's 10 nearest; and the recall.

    If none do, all lists and MOST_CANDIDATES with the recall that these give.
    """
    sample = np.sort(np.random.default_rng(_SEED).choice(len(vectors), min(SAMPLE, len(vectors)), replace=False))
    queries = np.asarray(vectors[sample], np.float32)
    # One more than RECALL_AT: each row finds itself.
    true = nearest_rows(queries, vectors, RECALL_AT + 1)

    def recall(probes: int, candidates: int) -> float:
        found = compared(queries, vectors, lists.candidates(queries, candidates, probes=probes), RECALL_AT + 1)
        return recall_of(found, true)

    probes, candidates = max(1, lists.lists // 128), MOST_CANDIDATES
    while (best := recall(probes, candidates)) < RECALL_GOAL and probes < lists.lists:
        probes = min(2 * probes, lists.lists)
    while candidates > FEWEST_CANDIDATES and (fewer := recall(probes, candidates // 2)) >= RECALL_GOAL:
        candidates, best = candidates // 2, fewer
    return probes, candidates, round(best, 4)


def recall_of(found: Neighbours, true: Neighbours) -> float:
    """Which share of `true` was found. A row as near as the last of `true` counts as found: equals have no order."""
    last = true.similarities[:, -1:] - 1e-6
    hits = np.minimum((found.similarities >= last).sum(axis=1), true.rows.shape[1])
    return float(hits.sum() / (true.rows >= 0).sum())


def _filled(
    content: Iterable[tuple[pa.RecordBatch, npt.NDArray[Any]]],
    vectors: npt.NDArray[Any],
    marks: npt.NDArray[Any],
) -> Iterator[pa.RecordBatch]:
    """The batches of rows; their vectors and hashes go where they belong."""
    start = 0
    for batch, numbers in content:
        rows = pa.RecordBatch.from_arrays([batch[name] for name in ROW_COLUMNS], schema=ROW_SCHEMA)
        vectors[start : start + len(rows)] = unit(numbers)
        marks[start : start + len(rows)] = marks_of(rows)
        start += len(rows)
        yield rows


def _even_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly _BATCH_ROWS, but for the last: a row's batch follows from its number."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch)
        while count >= _BATCH_ROWS:
            together = _joined(waiting)
            yield together.slice(0, _BATCH_ROWS)
            waiting, count = [together.slice(_BATCH_ROWS)], count - _BATCH_ROWS
    if count:
        yield _joined(waiting)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches() or [
        pa.RecordBatch.from_pylist([], schema=ROW_SCHEMA)
    ]
    return batch


def _numbers(rows: int) -> np.dtype[Any]:
    """float16 moves a cosine by 0.00001, and halves what a search reads; but it is slow to compute with."""
    return np.dtype(np.float32 if rows < EXACT_BELOW else np.float16)


def _new_array(file: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """An array on disk, to be filled."""
    return np.lib.format.open_memmap(file, "w+", dtype, shape)  # type: ignore[no-untyped-call]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
