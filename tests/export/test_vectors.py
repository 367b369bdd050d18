"""`Stepvec.vectors`: every row once, also for who stops and goes on, and what is refused."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stepvec.adapters.table_scan import ScanPage, TableScan
from stepvec.client.deployment import Deployment
from stepvec.client.vectors import Vectors
from stepvec.errors import ConfigurationError, InvalidInputError, StorageError
from stepvec.export.selection import Selection
from stepvec.rows.vectors import decode_vector
from tests.export.conftest import MODEL, OTHER, TABLE, fill, row

SYNTHETIC = "vectors-12000-512"


def vectors(
    client: Callable[[str], Any], table: str = TABLE, *, segments: int | None = 3, after: str = "", **selected: Any
) -> Vectors:
    deployment = Deployment("images", "work", table, "arn", MODEL, client)
    selection = Selection(**{"model": MODEL, "is_named": True, **selected})
    return Vectors(deployment, selection, segments=segments, after=after)


def test_every_row_is_given_once_with_its_vector(client: Callable[[str], Any]) -> None:
    rows = [row(f"{number}.jpg", number, data_type=("float32", "int8")[number % 2]) for number in range(100)]
    fill(client("dynamodb"), [*rows, row("other.jpg", model=OTHER)])
    given = vectors(client)
    (batch,) = list(given)
    assert sorted(batch.ids) == sorted(item.image_id for item in rows)
    assert batch.vectors.dtype == np.float32
    stored = {item.image_id: decode_vector(item) for item in rows}
    for image_id, key, vector in zip(*batch, strict=True):
        assert image_id == key
        np.testing.assert_array_equal(vector, stored[image_id])
    assert given.left_out == {OTHER: 1}


@pytest.mark.parametrize("stop", [0, 1, 4, 7])
@pytest.mark.parametrize("segments", [1, 3, None])
def test_who_stops_goes_on_and_loses_and_doubles_nothing(
    client: Callable[[str], Any], stop: int, segments: int | None
) -> None:
    first = vectors(client, SYNTHETIC, segments=segments)
    ids = [image_id for _ in range(stop) for image_id in next(first).ids]
    # What is read ahead by now is not in the token.
    second = vectors(client, SYNTHETIC, segments=None, after=first.token)
    rest = list(second)
    assert max(len(batch.ids) for batch in rest) <= 1_000 + 500
    ids += [image_id for batch in rest for image_id in batch.ids]
    assert len(ids) == len(set(ids)) == 12_000
    assert list(vectors(client, SYNTHETIC, segments=None, after=second.token)) == []


def test_after_an_error_the_token_is_behind_the_last_batch_that_was_given(
    client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count(1)
    page = TableScan.page

    def lost_at_the_eighth(scan: TableScan, segment: int, after: str) -> ScanPage:
        if next(asked) == 8:
            raise StorageError("lost", remedy="again")
        return page(scan, segment, after)

    monkeypatch.setattr(TableScan, "page", lost_at_the_eighth)
    first = vectors(client, SYNTHETIC, segments=1)
    ids: list[str] = []
    with pytest.raises(StorageError):
        ids.extend(image_id for batch in first for image_id in batch.ids)
    # The eighth page was to be the second of the third batch.
    assert 2_000 < len(ids) < 3_000
    ids += [
        image_id for batch in vectors(client, SYNTHETIC, segments=None, after=first.token) for image_id in batch.ids
    ]
    assert len(ids) == len(set(ids)) == 12_000


def test_rows_under_a_prefix_of_no_rows_are_none(client: Callable[[str], Any]) -> None:
    fill(client("dynamodb"), [row("a/1.jpg"), row("b/1.jpg")])
    assert [batch.keys for batch in vectors(client, prefixes=("a/",))] == [["a/1.jpg"]]
    assert list(vectors(client, model=OTHER)) == []
    assert vectors(client, model=OTHER).to_arrow().num_rows == 0


def test_all_rows_as_a_table(client: Callable[[str], Any]) -> None:
    fill(client("dynamodb"), [row(f"{number}.jpg", number) for number in range(5)])
    table = vectors(client).to_arrow()
    assert table.column_names == ["image_id", "key", "etag", "model", "run", "created", "modified", "vector"]
    found = dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    for number in range(5):
        np.testing.assert_array_equal(np.float32(found[f"{number}.jpg"]), decode_vector(row(f"{number}.jpg", number)))


def test_pandas_is_asked_for_where_it_is_missing(client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match="pandas is not installed") as raised:
        vectors(client).to_pandas()
    assert "pip install pandas" in raised.value.remedy


def test_all_rows_as_a_frame(client: Callable[[str], Any]) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: `make test-readers` does it")
    fill(client("dynamodb"), [row(f"{number}.jpg", number) for number in range(5)])
    frame = vectors(client).to_pandas().set_index("key")
    np.testing.assert_array_equal(frame.loc["3.jpg", "vector"], decode_vector(row("3.jpg", 3)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"after": "nonsense"}, "is not a token"),
        ({"after": "bnVsbA=="}, "is not a token"),
        ({"segments": 0}, "segments is 0"),
        ({"token": {"prefixes": ("a/",)}}, "is of another table, prefix"),
        ({"token": {"model": OTHER}}, "is of another table, prefix, model"),
        ({"token": {"table": "others"}}, "is of another table"),
        ({"token": {}, "segments": 5}, "or number of segments"),
    ],
)
def test_a_token_of_something_else_is_refused(client: Callable[[str], Any], changes: dict[str, Any], told: str) -> None:
    if "token" in changes:
        changes = {**changes, "after": vectors(client, **changes["token"]).token}
        del changes["token"]
    with pytest.raises(InvalidInputError, match=told):
        vectors(client, **changes)
