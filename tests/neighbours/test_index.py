"""The index of an export: what it finds, and that an update is as good as an index made anew."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from stepvec.errors import ConfigurationError, InvalidInputError, RecordError
from stepvec.export.format import INDEX
from stepvec.export.format import MANIFEST as EXPORT_MANIFEST
from stepvec.export.targets import FolderTarget
from stepvec.neighbours import building, lists
from stepvec.neighbours.building import IndexChanges, update_index
from stepvec.neighbours.exact import nearest_rows, unit
from stepvec.neighbours.index import Index
from stepvec.neighbours.manifest import MANIFEST
from testkit.exports import CREATED, write_export
from tests.neighbours.conftest import seeded_vectors


def keys(rows: int, prefix: str = "photos/") -> list[str]:
    return [f"{prefix}{row:05}.jpg" for row in range(rows)]


def found_keys(index: Index, vector: Any, count: int = 10) -> list[str]:
    return [index.row(row).key for row in index.nearest(vector[None], count).rows[0].tolist() if row >= 0]


def contents(index: Index) -> dict[str, tuple[str, list[float]]]:
    """ETag and vector of every key that counts."""
    rows = index.all_rows()
    vectors = index.vectors(rows.tolist())
    images = [index.row(row) for row in rows.tolist()]
    return {image.key: (image.etag, vector.tolist()) for image, vector in zip(images, vectors, strict=True)}


def test_a_small_index_is_exact(tmp_path: Path) -> None:
    vectors = seeded_vectors(500)
    write_export(tmp_path, keys(500), vectors, file_rows=130)
    assert update_index([tmp_path]) == IndexChanges(500, 0, 0, 500, 0)
    index = Index.open(tmp_path)
    assert (len(index), index.recall) == (500, 1.0)
    queries = seeded_vectors(20, seed=5)
    np.testing.assert_array_equal(index.nearest(queries, 7).rows, nearest_rows(queries, vectors, 7).rows)


@pytest.mark.usefixtures("approximate_from_2000")
def test_a_large_index_finds_what_it_says_and_can_be_searched_for_all(tmp_path: Path) -> None:
    vectors = seeded_vectors(6_000)
    write_export(tmp_path, keys(6_000), vectors)
    update_index([tmp_path])
    index = Index.open(tmp_path)
    assert index.manifest.segments[0].probes > 0
    assert 0.99 <= index.recall < 1.0001
    queries = seeded_vectors(200, seed=5)
    true = nearest_rows(queries, vectors, 10).rows
    found = index.nearest(queries, 10).rows
    assert np.mean([len(set(one) & set(other)) / 10 for one, other in zip(found, true, strict=True)]) >= 0.98
    for some in index.nearest_of_all(3):
        assert not (some.neighbours.rows == some.rows[:, None]).any()


@pytest.mark.parametrize("large", [False, True])
def test_an_update_gives_what_a_new_index_would(tmp_path: Path, large: bool, request: pytest.FixtureRequest) -> None:
    if large:
        request.getfixturevalue("approximate_from_2000")
    rows = 3_000
    vectors, names = seeded_vectors(rows), keys(rows)
    write_export(tmp_path, names, vectors)
    update_index([tmp_path])

    # 100 rows go, 50 are embedded again, 70 are new; and the rows come in another order.
    changed, etags = vectors.copy(), list(names)
    changed[200:250] = seeded_vectors(50, seed=3)
    etags[200:250] = [f"new{row}" for row in range(50)]
    order = np.random.default_rng(1).permutation(np.arange(100, rows))
    later = [names[row] for row in order] + keys(70, "later/")
    write_export(
        tmp_path,
        later,
        np.concatenate([changed[order], seeded_vectors(70, seed=4)]),
        etags=[etags[row] for row in order] + keys(70, "later/"),
    )
    changes = update_index([tmp_path])
    assert (changes.added, changes.changed, changes.removed, changes.rows) == (70, 50, 100, rows - 30)
    assert changes.copied == (0 if large else rows - 150)
    updated = contents(Index.open(tmp_path))
    index = Index.open(tmp_path)
    assert found_keys(index, changed[220])[0] == names[220]
    assert names[50] not in found_keys(index, vectors[50])
    assert index.row_of(names[50]) is None

    update_index([tmp_path], rebuild=True)
    again = contents(Index.open(tmp_path))
    assert updated.keys() == again.keys() == set(later)
    for key, (etag, vector) in again.items():
        assert updated[key][0] == etag
        np.testing.assert_allclose(updated[key][1], vector, atol=1e-3)


def test_nothing_is_read_where_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_export(tmp_path, keys(20), seeded_vectors(20))
    update_index([tmp_path])
    before = (tmp_path / INDEX / MANIFEST).read_bytes()
    monkeypatch.setattr(building, "list_wanted", None)
    assert update_index([tmp_path]) == IndexChanges(0, 0, 0, 20, 0)
    assert (tmp_path / INDEX / MANIFEST).read_bytes() == before


def test_of_several_exports_the_newest_row_of_an_image_counts(tmp_path: Path) -> None:
    vectors = seeded_vectors(40)
    base, increment = tmp_path / "base", tmp_path / "increment"
    write_export(base, keys(40), vectors)
    write_export(increment, keys(10), seeded_vectors(10, seed=2), created=CREATED + timedelta(days=1), etags=["n"] * 10)
    update_index([base, increment])
    found = contents(Index.open(base))
    assert len(found) == 40
    assert [found[key][0] for key in keys(12)] == ["n"] * 10 + keys(12)[10:]
    # The other way round the order does not matter, and without the increment the old rows count again.
    update_index([increment, base])
    assert contents(Index.open(increment)) == found
    assert update_index([base]).changed == 10
    assert [contents(Index.open(base))[key][0] for key in keys(12)] == keys(12)


def test_a_segment_with_many_dead_rows_is_written_anew(tmp_path: Path, approximate_from_2000: None) -> None:
    vectors = seeded_vectors(3_000)
    write_export(tmp_path, keys(3_000), vectors)
    update_index([tmp_path])
    write_export(tmp_path, keys(3_000)[:2_100], vectors[:2_100])
    assert update_index([tmp_path]) == IndexChanges(0, 0, 900, 2_100, 2_100)
    assert [entry.rows for entry in Index.open(tmp_path).manifest.segments] == [2_100]
    assert len(list((tmp_path / INDEX).glob("segment-*"))) == 1


def test_a_broken_update_leaves_the_index_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = seeded_vectors(60)
    write_export(tmp_path, keys(50), vectors[:50])
    update_index([tmp_path])
    write_export(tmp_path, keys(60), vectors)
    with monkeypatch.context() as patch:
        patch.setattr(
            "stepvec.neighbours.building.codec.to_json", lambda _: (_ for _ in ()).throw(OSError("disk full"))
        )
        with pytest.raises(OSError, match="disk full"):
            update_index([tmp_path])
    assert len(Index.open(tmp_path)) == 50
    assert found_keys(Index.open(tmp_path), vectors[3], 1) == [keys(4)[3]]
    assert update_index([tmp_path]).added == 10
    assert len(list((tmp_path / INDEX).glob("segment-*"))) == 1


def test_an_open_index_is_searched_while_it_is_updated(tmp_path: Path) -> None:
    vectors = seeded_vectors(60)
    write_export(tmp_path, keys(50), vectors[:50])
    update_index([tmp_path])
    index = Index.open(tmp_path)
    write_export(tmp_path, keys(60)[10:], vectors[10:])
    update_index([tmp_path])
    assert found_keys(index, vectors[3], 1) == [keys(4)[3]]


def test_what_cannot_be_indexed_is_said(tmp_path: Path) -> None:
    one, other, empty = tmp_path / "one", tmp_path / "other", tmp_path / "empty"
    write_export(one, keys(5), seeded_vectors(5))
    write_export(other, keys(5), seeded_vectors(5), model="efficientnet_lite0/0123456789ab/standard-1")
    empty.mkdir()
    with pytest.raises(InvalidInputError, match="of 2 models"):
        update_index([one, other])
    with pytest.raises(InvalidInputError, match="not a finished export"):
        update_index([empty])
    with pytest.raises(InvalidInputError, match="There is no index"):
        Index.open(one)
    (one / "part-00-00000.parquet").write_bytes(b"x" * (one / "part-00-00000.parquet").stat().st_size)
    with pytest.raises(InvalidInputError, match="bytes have changed"):
        update_index([one])


def test_another_model_or_format_makes_the_index_anew(tmp_path: Path) -> None:
    write_export(tmp_path, keys(5), seeded_vectors(5))
    update_index([tmp_path])
    write_export(tmp_path, keys(5), seeded_vectors(5), model="efficientnet_lite0/0123456789ab/standard-1")
    assert update_index([tmp_path]).added == 5
    assert Index.open(tmp_path).model.startswith("efficientnet")
    manifest = tmp_path / INDEX / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 0}))
    with pytest.raises(InvalidInputError, match="There is no index"):
        Index.open(tmp_path)
    assert update_index([tmp_path]).added == 5


def test_two_updates_at_once_are_refused(tmp_path: Path) -> None:
    write_export(tmp_path, keys(5), seeded_vectors(5))
    update_index([tmp_path])
    with building._locked(tmp_path / INDEX), pytest.raises(InvalidInputError, match="Another `stepvec index`"):
        update_index([tmp_path])


def test_an_export_in_the_place_of_another_keeps_its_index(tmp_path: Path) -> None:
    out = tmp_path / "vectors"
    write_export(out, keys(5), seeded_vectors(5))
    update_index([out])
    target = FolderTarget(out)
    write_export(target.unfinished, keys(7), seeded_vectors(7))
    names = frozenset(path.name for path in target.unfinished.glob("*.parquet"))
    target.publish((target.unfinished / EXPORT_MANIFEST).read_bytes(), names)
    assert len(Index.open(out)) == 5
    assert update_index([out]).rows == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors"]


def test_readers_of_the_export_do_not_see_the_index(tmp_path: Path) -> None:
    write_export(tmp_path, keys(5), seeded_vectors(5))
    update_index([tmp_path])
    assert ds.dataset(tmp_path).count_rows() == 5


def test_without_faiss_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ConfigurationError, match="needs FAISS"):
        lists.build_lists(tmp_path / "x", unit(np.ones((3, 8))))


def test_a_damaged_list_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "lists.faiss").write_bytes(b"nothing of FAISS's")
    with pytest.raises(RecordError, match="cannot be read"):
        lists.InvertedLists(tmp_path / "lists.faiss")


def test_keys_and_image_ids_name_a_row(tmp_path: Path) -> None:
    names = ["a/ü.jpg", "a/\n.jpg", "<img src=x onerror=alert(1)>.jpg"]
    write_export(tmp_path, names, seeded_vectors(3))
    update_index([tmp_path])
    index = Index.open(tmp_path)
    assert [index.row(index.row_of(name) or 0).key for name in names] == names
    assert index.row_of("nobody.jpg") is None
    nearest = index.nearest_of_row(0, 5)
    assert 0 not in nearest.rows[0]
