"""What a run's vectors show: the closest pairs, and folders whose photos are near each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from local_pipeline import likeness as module
from local_pipeline.likeness import likeness


def unit(*angles: float) -> npt.NDArray[np.float32]:
    """Vectors in the plane: the cosine of two is that of the angle between them, in degrees."""
    radians = np.radians(np.array(angles))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_the_closest_pair_comes_first_and_a_photo_is_in_one_pair() -> None:
    keys = ["photos/a.jpg", "photos/b.jpg", "photos/c.jpg", "photos/d.jpg", "photos/e.jpg"]
    found = likeness(keys, unit(0, 10, 15, 100, 130))
    told = [(pair.first, pair.second, round(pair.cosine, 3)) for pair in found.pairs]
    # a's nearest is b too, and b is c's.
    assert told == [
        ("photos/b.jpg", "photos/c.jpg", round(float(np.cos(np.radians(5))), 3)),
        ("photos/d.jpg", "photos/e.jpg", round(float(np.cos(np.radians(30))), 3)),
    ]
    # One folder says nothing about folders.
    assert found.compared == 0


def test_of_several_folders_each_begins_one_pair() -> None:
    keys = ["p/x/1.jpg", "p/x/2.jpg", "p/x/3.jpg", "p/x/4.jpg", "p/y/1.jpg", "p/y/2.jpg"]
    found = likeness(keys, unit(0, 1, 90, 92, 200, 230))
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("p/x/1.jpg", "p/x/2.jpg"),
        ("p/y/1.jpg", "p/y/2.jpg"),
    ]


def test_folders_are_counted_against_chance() -> None:
    keys = ["p/x/1.jpg", "p/x/2.jpg", "p/x/3.jpg", "p/y/1.jpg", "p/y/2.jpg", "p/alone.jpg"]
    # x/3 lies with the photos of y.
    found = likeness(keys, unit(0, 5, 92, 90, 98, 91.5))
    assert found.compared == 6
    assert found.in_same_folder == 2
    # 3 photos with 2 of 5 others in their folder, 2 with 1 of 5.
    assert found.by_chance == pytest.approx(3 * 2 / 5 + 2 * 1 / 5)


def test_photos_of_nothing_in_common_are_no_pair() -> None:
    assert likeness(["p/a.jpg", "p/b.jpg"], unit(0, 80)).pairs == []


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_photos_to_compare(count: int) -> None:
    found = likeness([f"p/{number}.jpg" for number in range(count)], np.zeros((count, 2), np.float32))
    assert (found.pairs, found.compared) == ([], 0)


def test_nothing_is_said_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PHOTOS", 3)
    assert likeness(["p/a.jpg", "p/b.jpg", "p/c.jpg"], unit(0, 1, 2)).pairs != []
    assert likeness(["p/a.jpg", "p/b.jpg", "p/c.jpg", "p/d.jpg"], unit(0, 1, 2, 3)).pairs == []
