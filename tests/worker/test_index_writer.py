"""The worker's vectors in an index: after their rows, in batches, none lost by an attempt that ends in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stepvec_worker.images.fetching import FetchedImage
from stepvec_worker.processes.image_watch import ImageWatch
from stepvec_worker.processes.shard_context import ProcessHooks
from stepvec_worker.storage.index import IndexWriter

from stepvec.errors import StorageError
from stepvec.rows.indexed import VECTORS_A_PUT, IndexedVector, VectorToIndex, entry_of
from stepvec.rows.item import RowMetadata, VectorItem, metadata_of
from stepvec.runs.listing import ShardImage
from tests.worker.test_shard_job import Table, Work, fetch, images


class WholeTable(Table):
    """A table that gives its rows whole, and their times."""

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        yield {name: metadata_of(self.rows[name]) for name in image_ids if name in self.rows}

    def items(self, image_ids: Iterable[str]) -> Iterator[VectorItem]:
        return (self.rows[name] for name in image_ids if name in self.rows)


class Index:
    """An index in memory; after `fail_after` puts it refuses more."""

    def __init__(self, table: WholeTable, fail_after: int = 10**9) -> None:
        self.table = table
        self.fail_after = fail_after
        self.held: dict[str, VectorToIndex] = {}
        self.puts: list[int] = []
        self.reads: list[int] = []

    def entries(self, image_ids: Iterable[str]) -> Iterator[dict[str, IndexedVector]]:
        ids = list(image_ids)
        self.reads.append(len(ids))
        yield {name: self.held[name].entry for name in ids if name in self.held}

    def put(self, vectors: Sequence[VectorToIndex]) -> None:
        if len(self.puts) >= self.fail_after:
            raise StorageError("the index is full", remedy="")
        # The row first: an index never has what the table has not.
        assert all(vector.entry == entry_of(metadata_of(self.table.rows[vector.entry.image_id])) for vector in vectors)
        self.puts.append(len(vectors))
        self.held.update({vector.entry.image_id: vector for vector in vectors})


def work_on(index: Index, **options: Any) -> Work:
    return Work(index.table, index=IndexWriter(index, index.table.items), **options)


def assert_whole(index: Index, but: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    rows = {name: row for name, row in index.table.rows.items() if name not in but}
    assert {name: vector.entry for name, vector in index.held.items()} == {
        name: entry_of(metadata_of(row)) for name, row in rows.items()
    }
    for name, vector in index.held.items():
        assert vector.numbers == np.frombuffer(rows[name].vector, "<f4").tolist()


def test_rows_without_a_vector_are_copied_wherever_in_a_shard_they_are() -> None:
    index, seen = Index(WholeTable()), list[str]()

    def noting_fetch(image: ShardImage) -> FetchedImage:
        seen.append(image.key)
        return fetch(image)

    # In chunks that are not looked up where there is no index.
    Work(index.table, run="before").run(images(100)[60:])
    work_on(index, fetch=noting_fetch).run(images(105)[1:])
    assert len(seen) == 104 - 36
    assert_whole(index)


def test_each_stored_row_has_its_vector_in_the_index_in_batches() -> None:
    index = Index(WholeTable())
    work = work_on(index)
    work.run(images(255)[1:])
    assert work.embedded == len(index.held) == 229
    assert index.puts == [VECTORS_A_PUT, VECTORS_A_PUT, 29]
    assert sorted(work.completed) == list(range(13))
    assert_whole(index)
    assert work.job.totals.write_seconds > 0


def test_a_vector_of_zeros_is_not_put_and_its_image_is_embedded() -> None:
    index = Index(WholeTable())
    work = work_on(index)
    work.run(images(6))
    assert work.embedded == 6
    assert_whole(index, but={"0.jpg"})


def test_an_image_counts_only_when_its_vector_is_there() -> None:
    index = Index(WholeTable(), fail_after=1)
    work = work_on(index)
    with pytest.raises(StorageError, match="the index is full"):
        work.run(images(255)[1:])
    assert work.embedded == VECTORS_A_PUT
    assert len(index.table.rows) > VECTORS_A_PUT
    index.fail_after = 10**9
    # The next attempt embeds no image twice: it copies what the index lacks.
    stored = set(index.table.rows)
    again = work_on(index, store=lambda row: None if row.image_id not in stored and not index.table.store(row) else 1)
    again.run(images(255)[1:])
    assert again.embedded == len(index.table.rows) == 229
    assert_whole(index)


@pytest.mark.parametrize("run", ["r", "another"])
def test_rows_that_are_there_are_copied_without_fetching(run: str) -> None:
    index = Index(WholeTable())
    Work(index.table).run(images(30)[1:])
    assert not index.held
    work = work_on(index, run=run, fetch=lambda image: pytest.fail(image.key) if image.key[-5] != "7" else b"")
    work.run([image for image in images(30)[1:] if image.key[-5] != "7"])
    assert (work.embedded, work.unchanged) == ((26, 0) if run == "r" else (0, 26))
    assert_whole(index)
    index.puts.clear()
    work_on(index, run=run).run([image for image in images(30)[1:] if image.key[-5] != "7"])
    assert index.puts == []


def test_the_vector_of_an_older_row_is_replaced() -> None:
    index = Index(WholeTable())
    work_on(index).run(images(6)[1:])
    row = index.table.rows["3.jpg"]
    index.table.rows["3.jpg"] = replace(row, created=row.created.replace(year=2027), vector=bytes(15) + b"\x3f")
    work_on(index).run(images(6)[1:])
    assert_whole(index)
    work_on(index, run="again", reembed=True).run(images(6)[1:])
    assert_whole(index)
    assert {row.run for row in index.table.rows.values()} == {"again"}


def test_a_row_that_goes_while_it_is_copied_is_embedded() -> None:
    table = WholeTable()
    index = Index(table)
    Work(table).run(images(6)[1:])
    del index.table.rows["2.jpg"]
    stale = {name: metadata_of(row) for name, row in table.rows.items()}
    stale["2.jpg"] = replace(stale["1.jpg"], image_id="2.jpg", key="2.jpg", etag="e2")
    table.metadata = lambda image_ids, *, consistent: iter([stale])  # type: ignore[method-assign]
    work = work_on(index, hooks=ProcessHooks(ImageWatch(20, decoders=2)))
    work.run(images(6)[1:])
    assert work.embedded == 5
    assert_whole(index)
