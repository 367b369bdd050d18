"""Images that are like no others."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stepvec.neighbours.index import Index

COMPARED: Final = 5
"""Neighbours that an image's loneliness is the mean of: two odd copies of each other are lonely still."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """An image, the mean cosine to its COMPARED nearest others, and the nearest of them."""

    key: str
    image_id: str
    similarity: float
    nearest: str


@dataclass(frozen=True, slots=True)
class Outliers:
    """What `outliers --json` prints: the loneliest of so many images."""

    model: str
    images: int
    outliers: tuple[Outlier, ...]


def outliers(index: Index, count: int, report: Callable[[str], None] = lambda _: None) -> list[Outlier]:
    """The `count` images that are furthest from all others, the loneliest first."""
    if len(index) < 2:
        return []
    lonely: list[tuple[float, int, int]] = []
    done = 0
    for some in index.nearest_of_all(min(COMPARED, len(index) - 1)):
        means = some.neighbours.similarities.mean(axis=1)
        for row, mean, nearest in zip(some.rows.tolist(), means.tolist(), some.neighbours.rows[:, 0], strict=True):
            # The heap's first is the one to go: the most alike of those kept.
            entry = (-mean, -row, int(nearest))
            if len(lonely) < count:
                heapq.heappush(lonely, entry)
            elif entry > lonely[0]:
                heapq.heapreplace(lonely, entry)
        done += len(some.rows)
        report(f"Compared {done:,} of {len(index):,} images")
    found = []
    for mean, number, nearest in sorted(lonely, reverse=True):
        image = index.row(-number)
        found.append(Outlier(image.key, image.image_id, round(-mean, 4), index.row(nearest).key))
    return found
