"""The photos of a page, by number, in the order of their keys: what each is like, where it lies, which are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from stepvec.neighbours.exact import NOBODY, Neighbours
from stepvec.neighbours.groups import Kind, duplicate_groups
from stepvec.neighbours.index import Index
from stepvec.neighbours.thresholds import default_threshold
from stepvec.page.projection import principal_plane, spread

NEAREST: Final = 12
"""Neighbours of a photo that a page shows."""
MAP_SIDE: Final = 4095
"""The map's points are whole numbers from 0 to this: finer than any screen."""
COSINE_DIGITS: Final = 4
MOST_GROUPS: Final = 500
"""Groups of duplicates that a page shows; `stepvec duplicates` has all of them."""


@dataclass(frozen=True, slots=True)
class NearPhotos:
    """The nearest others of one photo by number, best first, and their cosines."""

    photos: list[int]
    cosines: list[float]


class GroupMember(NamedTuple):
    """A photo of a group of duplicates. `cosine` is to the one that is kept."""

    photo: int
    kind: Kind
    cosine: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of duplicates, the one to keep first; `more` are not among them."""

    threshold: float
    groups: list[list[GroupMember]]
    more: int


class Album:
    """Photos of one model, of an index whose rows are numbered in the order of their keys from 0 on."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.keys: Sequence[str] = index.texts("key", index.all_rows())

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def model(self) -> str:
        """What all vectors were made with."""
        return self._index.model

    def near(self, photo: int) -> NearPhotos:
        """The NEAREST others of one photo. Raises IndexError where there is no such photo."""
        if len(self) == 1:
            return NearPhotos([], [])
        return _near(self._index.nearest_of_row(photo, min(NEAREST, len(self) - 1)))[0]

    def all_near(self) -> list[NearPhotos]:
        """As near, of each photo: the time grows with the square of their number."""
        if len(self) < 2:
            return [NearPhotos([], []) for _ in self.keys]
        found = self._index.nearest_of_all(min(NEAREST, len(self) - 1))
        return [near for some in found for near in _near(some.neighbours)]

    def points(self) -> list[list[int]]:
        """Where each photo lies on the map: x and y, from 0 to MAP_SIDE."""
        plane = principal_plane(lambda: (vectors for _, vectors in self._index.vector_batches()))
        points: list[list[int]] = spread(plane, MAP_SIDE).tolist()
        return points

    def groups(self) -> Groups:
        """The photos that are the same or nearly so, as `stepvec duplicates` finds them."""
        image_ids = self._index.texts("image_id", self._index.all_rows())
        numbers = {image_id: number for number, image_id in enumerate(image_ids)}
        threshold = default_threshold(self.model)
        found = duplicate_groups(self._index, threshold) if len(self) > 1 else []
        groups = [
            [
                GroupMember(numbers[member.image_id], member.kind, round(member.similarity, COSINE_DIGITS))
                for member in group.members
            ]
            for group in found[:MOST_GROUPS]
        ]
        return Groups(threshold, groups, len(found) - len(groups))


def _near(found: Neighbours) -> list[NearPhotos]:
    """Of each query those that were found, without empty places."""
    cosines = np.minimum(np.round(found.similarities.astype(np.float64), COSINE_DIGITS), 1.0)
    return [
        NearPhotos(rows[rows != NOBODY].tolist(), some[rows != NOBODY].tolist())
        for rows, some in zip(found.rows, cosines, strict=True)
    ]
