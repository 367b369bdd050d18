"""What a run's vectors show: the closest pairs, and how often the nearest photo is of the same folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt

from stepvec.neighbours.exact import nearest_others

MAX_PHOTOS: Final = 4_000
"""Most photos that are compared: the time grows with their square, half a second at this many."""
PAIRS: Final = 5
LIKE: Final = 0.5
"""The lowest cosine of a pair that is told; photos that have nothing in common have 0.1 to 0.4 (photos/wardrobe)."""


@dataclass(frozen=True)
class Pair:
    """Two photos, by key, and the cosine of their vectors."""

    first: str
    second: str
    cosine: float


@dataclass(frozen=True)
class Likeness:
    """The closest pairs, best first; and of `compared` photos, how many have their nearest in the same folder.

    `by_chance` is how many of them would if the nearest were any other photo. `compared` is 0 where fewer than two
    folders hold two photos or more: then the folders say nothing.
    """

    pairs: list[Pair]
    in_same_folder: int
    compared: int
    by_chance: float


def likeness(keys: list[str], vectors: npt.NDArray[np.float32]) -> Likeness:
    """Compare the photos `keys` by their `vectors` (N, D). Nothing is said of more than MAX_PHOTOS."""
    if not 1 < len(keys) <= MAX_PHOTOS:
        return Likeness([], 0, 0, 0.0)
    neighbours, cosines = nearest_others(vectors, 1)
    nearest = neighbours[:, 0]
    folders = [str(PurePosixPath(key).parent) for key in keys]
    pairs = _closest_pairs(keys, folders, nearest, cosines[:, 0])
    sizes = Counter(folders)
    if sum(size > 1 for size in sizes.values()) < 2:
        return Likeness(pairs, 0, 0, 0.0)
    same = sum(folders[photo] == folders[other] for photo, other in enumerate(nearest))
    by_chance = sum(size * (size - 1) for size in sizes.values()) / (len(keys) - 1)
    return Likeness(pairs, same, len(keys), by_chance)


def _closest_pairs(
    keys: list[str], folders: list[str], nearest: npt.NDArray[np.intp], cosines: npt.NDArray[np.float32]
) -> list[Pair]:
    """The closest pairs: a photo is in one of them at most, and each folder begins one unless they are all of one."""
    pairs: list[Pair] = []
    taken: set[int] = set()
    begun: set[str] = set()
    one_each = len(set(folders)) > 1
    for photo in map(int, np.argsort(-cosines, kind="stable")):
        other = int(nearest[photo])
        if len(pairs) == PAIRS or cosines[photo] < LIKE:
            break
        if taken & {photo, other} or (one_each and folders[photo] in begun):
            continue
        taken |= {photo, other}
        begun.add(folders[photo])
        pairs.append(Pair(keys[photo], keys[other], float(cosines[photo])))
    return pairs
