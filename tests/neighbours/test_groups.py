"""Groups of duplicates: what belongs together, what is kept, and that likeness does not chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from stepvec.errors import RecordError
from stepvec.neighbours.building import update_index
from stepvec.neighbours.group_file import write_groups
from stepvec.neighbours.groups import MOST_NEIGHBOURS, DuplicateGroup, duplicate_groups
from stepvec.neighbours.index import Index
from stepvec.neighbours.outliers import outliers
from stepvec.neighbours.thresholds import CAUTIOUS, MEASURED, default_threshold
from testkit.exports import CREATED, write_export
from tests.neighbours.conftest import seeded_vectors


def at_angles(degrees: Sequence[float]) -> Any:
    """Vectors of a plane: the cosine of two is that of the angle between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def index_of(folder: Path, keys: list[str], vectors: Any, **options: Any) -> Index:
    write_export(folder, keys, vectors, **options)
    update_index([folder])
    return Index.open(folder)


def told(groups: list[DuplicateGroup]) -> list[list[tuple[str, str]]]:
    return [[(member.key, member.kind) for member in group.members] for group in groups]


def test_exact_and_near_copies_are_together_and_others_are_not(tmp_path: Path) -> None:
    index = index_of(
        tmp_path,
        ["a", "copy-of-a", "near-a", "b", "c"],
        at_angles([0, 0, 10, 60, 120]),
        etags=["1", "1", "2", "3", "4"],
    )
    groups = duplicate_groups(index, 0.95)
    assert told(groups) == [[("a", "kept"), ("copy-of-a", "exact"), ("near-a", "near")]]
    assert [member.similarity for member in groups[0].members] == [1.0, 1.0, pytest.approx(0.9848, abs=1e-4)]
    assert groups[0].smallest == groups[0].members[2].similarity


def test_copies_of_an_image_that_is_not_kept_are_exact_too(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["a", "b", "copy-of-b"], at_angles([0, 10, 10]), etags=["1", "2", "2"])
    assert told(duplicate_groups(index, 0.95)) == [[("a", "kept"), ("b", "near"), ("copy-of-b", "exact")]]


def test_likeness_does_not_chain(tmp_path: Path) -> None:
    # Each is like the next, the first is not like the third: cos 20 = 0.94, cos 40 = 0.77.
    index = index_of(tmp_path, ["a", "b", "c", "d"], at_angles([0, 20, 40, 60]))
    groups = duplicate_groups(index, 0.9)
    assert told(groups) == [[("a", "kept"), ("b", "near")], [("c", "kept"), ("d", "near")]]
    assert all(group.smallest >= 0.9 for group in groups)


def test_equal_etags_of_unlike_vectors_are_no_copies(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["a", "b"], at_angles([0, 60]), etags=["same", "same"])
    assert duplicate_groups(index, 0.9) == []


def test_equal_vectors_of_other_etags_are_near(tmp_path: Path) -> None:
    # As of one file that was uploaded in parts: its ETag is another.
    index = index_of(tmp_path, ["a", "b", "far"], at_angles([5, 5, 90]), etags=["1", "1-2", "3"])
    assert told(duplicate_groups(index, 0.99)) == [[("a", "kept"), ("b", "near")]]


@pytest.mark.parametrize(
    ("sizes", "ages", "kept"),
    [
        ({}, [3, 2, 1], "longest-name"),
        ({}, [1, 1, 1], "mid"),
        ({"mid": 10, "other": 20, "longest-name": 5}, [3, 2, 1], "other"),
        ({"mid": 10, "other": 10}, [3, 2, 1], "other"),
    ],
)
def test_the_largest_then_the_oldest_then_the_shortest_key_is_kept(
    tmp_path: Path, sizes: dict[str, int], ages: list[int], kept: str
) -> None:
    index = index_of(
        tmp_path,
        ["mid", "other", "longest-name"],
        at_angles([0, 1, 2]),
        modified=[CREATED + timedelta(days=d) for d in ages],
    )
    asked: list[str] = []

    def ask(keys: Sequence[str]) -> dict[str, int]:
        asked.extend(keys)
        return sizes

    (group,) = duplicate_groups(index, 0.9, sizes=ask)
    assert group.members[0].key == kept
    assert sorted(asked) == ["longest-name", "mid", "other"]
    assert [member.bytes for member in group.members] == [sizes.get(member.key, 0) for member in group.members]


def test_more_copies_than_neighbours_that_are_looked_at_are_one_group(tmp_path: Path) -> None:
    count = 3 * MOST_NEIGHBOURS
    index = index_of(tmp_path, [f"{row:03}" for row in range(count)] + ["other"], at_angles([30] * count + [100]))
    groups = duplicate_groups(index, 0.9)
    assert [len(group.members) for group in groups] == [count]


def test_duplicates_are_found_across_segments(tmp_path: Path, approximate_from_2000: None) -> None:
    vectors = seeded_vectors(2_500)
    keys = [f"{row:05}" for row in range(2_500)]
    write_export(tmp_path, keys, vectors)
    update_index([tmp_path])
    write_export(tmp_path, [*keys, "new-copy", "z"], np.concatenate([vectors, vectors[7:8], seeded_vectors(1, seed=8)]))
    update_index([tmp_path])
    index = Index.open(tmp_path)
    assert [entry.rows for entry in index.manifest.segments] == [2_500, 2]
    assert ["00007", "new-copy"] in [[key for key, _ in group] for group in told(duplicate_groups(index, 0.995))]


def test_groups_as_parquet(tmp_path: Path) -> None:
    index = index_of(tmp_path / "e", ["a", "b", "c"], at_angles([0, 1, 90]))
    write_groups(tmp_path / "groups.parquet", duplicate_groups(index, 0.9), model=index.model, threshold=0.9)
    table = pq.read_table(tmp_path / "groups.parquet")
    assert table.select(["group", "keep", "kind", "key", "bytes"]).to_pylist() == [
        {"group": 0, "keep": True, "kind": "kept", "key": "a", "bytes": None},
        {"group": 0, "keep": False, "kind": "near", "key": "b", "bytes": None},
    ]
    assert table.schema.metadata[b"stepvec:threshold"] == b"0.9"


def test_outliers_are_the_loneliest_and_their_nearest_is_named(tmp_path: Path) -> None:
    keys = [f"k{row}" for row in range(9)]
    index = index_of(tmp_path, keys, at_angles([0, 1, 2, 3, 4, 5, 6, 50, 51]))
    found = outliers(index, 2)
    assert [(one.key, one.nearest) for one in found] == [("k8", "k7"), ("k7", "k8")]
    assert found[0].similarity < found[1].similarity < 0.9
    assert [one.key for one in outliers(index, 100)][:2] == ["k8", "k7"]


def test_a_single_image_is_no_outlier_and_no_duplicate(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["only"], at_angles([3]))
    assert outliers(index, 5) == []
    assert duplicate_groups(index, 0.5) == []


def test_the_threshold_is_that_of_the_model() -> None:
    assert default_threshold("efficientnet_lite0/0123456789ab/standard-1") == MEASURED["efficientnet_lite0"]
    assert default_threshold("resnet18_v2/a81db45fd7b7/standard-1") == CAUTIOUS
    with pytest.raises(RecordError):
        default_threshold("nothing")
