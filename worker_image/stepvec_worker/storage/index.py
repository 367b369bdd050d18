"""Vectors on their way to the index: in batches, after their rows are stored, and copies of rows that it lacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from stepvec.pacing import batches
from stepvec.rows.indexed import VECTORS_A_PUT, IndexEntries, VectorToIndex, lacking
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.rows.vectors import vector_to_index

OnIndexed = Callable[[], None]
"""Called once a vector is in the index, in the thread that put it."""


class Index(IndexEntries, Protocol):
    """What is needed of VectorIndex."""

    def put(self, vectors: Sequence[VectorToIndex]) -> None:
        """As VectorIndex.put."""
        ...


class IndexWriter:
    """Puts the vectors of stored rows into the index. Safe to use from several threads.

    `items` reads rows whole, strongly consistent, by their ids. What an attempt has not put is found by the next one:
    the row is there, and the index has not its vector (`ensure`).
    """

    def __init__(self, index: Index, items: Callable[[Iterable[str]], Iterator[VectorItem]]) -> None:
        self._index = index
        self._items = items
        self._waiting: list[tuple[VectorItem, OnIndexed]] = []
        self._lock = threading.Lock()
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Time spent putting vectors, over all threads."""
        return self._seconds

    def add(self, row: VectorItem, on_indexed: OnIndexed) -> None:
        """Take a stored row's vector. The caller that completes a batch puts it. Raises StorageError."""
        with self._lock:
            self._waiting.append((row, on_indexed))
            batch = self._take() if len(self._waiting) >= VECTORS_A_PUT else []
        self._put(batch)

    def flush(self) -> None:
        """Return when every vector taken is in the index, but for those that another thread is putting."""
        with self._lock:
            batch = self._take()
        self._put(batch)

    def ensure(self, rows: Mapping[str, tuple[RowMetadata, OnIndexed]]) -> set[str]:
        """See to it that the index has the vectors of these rows, by image id: those that it lacks are copied.

        Returns the ids whose rows are not those any more, as if they had never been stored. Raises StorageError.
        """
        wanted: list[str] = []
        for ids in batches(rows, VECTORS_A_PUT):
            not_there = lacking(self._index, {image_id: rows[image_id][0] for image_id in ids})
            for image_id in set(ids).difference(not_there):
                rows[image_id][1]()
            wanted += not_there
        changed = set(wanted)
        for item in self._items(wanted):
            row, on_indexed = rows[item.image_id]
            if (item.etag, item.model, item.run) == (row.etag, row.model, row.run):
                changed.discard(item.image_id)
                self.add(item, on_indexed)
        return changed

    def _take(self) -> list[tuple[VectorItem, OnIndexed]]:
        batch, self._waiting = self._waiting, []
        return batch

    def _put(self, batch: Sequence[tuple[VectorItem, OnIndexed]]) -> None:
        start = time.perf_counter()
        # A vector of zeros has no direction, and S3 Vectors takes none:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_S3VectorBuckets_PutInputVector.html
        vectors = [vector_to_index(row) for row, _ in batch if not row.is_zero]
        if vectors:
            self._index.put(vectors)
        with self._lock:
            self._seconds += time.perf_counter() - start
        for _, on_indexed in batch:
            on_indexed()
