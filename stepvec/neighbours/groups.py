"""Groups of images that are the same or nearly so, and which of each to keep (docs/duplicates.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from stepvec.neighbours.index import Index
from stepvec.neighbours.segment import IndexedRow

Kind = Literal["kept", "exact", "near"]
Sizes = Callable[[Sequence[str]], Mapping[str, int]]
"""Bytes of images by key, of as many as are known."""

MOST_NEIGHBOURS: Final = 32
"""Of each image at most so many near others are looked at; those of identical vectors count once."""
SAME_BYTES: Final = 0.999
"""Equal bytes give equal vectors, up to rounding. Images of one ETag that are less alike are not taken for equal."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image of a group. `similarity` is the cosine to the one that is kept; `bytes` is 0 where it is not known.

    `kind` is exact for one with the same bytes as another that comes before it in the group.
    """

    key: str
    image_id: str
    etag: str
    kind: Kind
    similarity: float
    bytes: int
    modified: str


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images that are the same or nearly: the one to keep first. `smallest` is the lowest similarity to it."""

    members: tuple[Member, ...]
    smallest: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What `duplicates --json` prints: the groups among so many images, from a cosine of `threshold` on."""

    model: str
    threshold: float
    images: int
    groups: tuple[DuplicateGroup, ...]


def duplicate_groups(
    index: Index, threshold: float, *, sizes: Sizes = lambda _: {}, report: Callable[[str], None] = lambda _: None
) -> list[DuplicateGroup]:
    """All groups, the largest first: every member has a cosine of `threshold` or more to the one that is kept.

    Images of one ETag are exact copies if their vectors agree. Groups do not chain: an image that is like a member, but
    not like the one that is kept, begins a group of its own. `sizes` is asked once, for the images that are in pairs.

    Memory is that of the index's keys and ETags, some 200 bytes a row.
    """
    copies = _copies(index, report)
    pairs = _near_pairs(index, copies, threshold, report)
    units: dict[int, list[int]] = {row: [row] for pair in pairs for row in pair}
    for row, first in copies.items():
        units.setdefault(first, [first]).append(row)
    rows = {row: index.row(row) for members in units.values() for row in members}
    known = sizes([row.key for row in rows.values()])
    ranks = {row: _rank(image, known) for row, image in rows.items()}
    best = {first: min(members, key=lambda row: ranks[row]) for first, members in units.items()}
    near: dict[int, set[int]] = {first: set() for first in units}
    for one, other in pairs:
        near[one].add(other)
        near[other].add(one)

    groups: list[DuplicateGroup] = []
    grouped: set[int] = set()
    for first in sorted(units, key=lambda unit: ranks[best[unit]]):
        if first in grouped:
            continue
        together = [first, *(near[first] - grouped)]
        members = [row for unit in together for row in units[unit]]
        if len(members) > 1:
            grouped.update(together)
            groups.append(_group(index, best[first], members, rows, known, copies))
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0].key))


def _rank(image: IndexedRow, sizes: Mapping[str, int]) -> tuple[int, float, int, str]:
    """What is kept comes first: most bytes, then the oldest, then the shortest key, then the first of the alphabet."""
    when = image.modified or image.created
    return -sizes.get(image.key, 0), when.timestamp(), len(image.key), image.key


def _group(
    index: Index,
    kept: int,
    members: Iterable[int],
    rows: Mapping[int, IndexedRow],
    sizes: Mapping[str, int],
    copies: Mapping[int, int],
) -> DuplicateGroup:
    others = sorted(row for row in members if row != kept)
    similarities = np.clip(index.vectors(others) @ index.vectors([kept])[0], -1, 1)
    found = [_member(rows[kept], "kept", 1.0, sizes)]
    seen = {(rows[kept].etag, copies.get(kept, kept))}
    for row, similarity in sorted(zip(others, similarities, strict=True), key=lambda pair: (-pair[1], pair[0])):
        content = rows[row].etag, copies.get(row, row)
        found.append(_member(rows[row], "exact" if content in seen else "near", float(similarity), sizes))
        seen.add(content)
    return DuplicateGroup(tuple(found), min(member.similarity for member in found))


def _member(image: IndexedRow, kind: Kind, similarity: float, sizes: Mapping[str, int]) -> Member:
    modified = image.modified.isoformat() if image.modified else ""
    return Member(image.key, image.image_id, image.etag, kind, round(similarity, 4), sizes.get(image.key, 0), modified)


def _copies(index: Index, report: Callable[[str], None]) -> dict[int, int]:
    """For each row that is a copy of an earlier one, by its vector or its ETag, the first of them."""
    firsts: dict[bytes, int] = {}
    by_etag: dict[str, int] = {}
    copies: dict[int, int] = {}
    done = 0
    for rows, vectors in index.vector_batches():
        for row, vector, etag in zip(rows.tolist(), vectors, index.texts("etag", rows), strict=True):
            first = firsts.setdefault(hashlib.blake2b(vector.tobytes(), digest_size=16).digest(), row)
            if first == row and etag:
                candidate = by_etag.setdefault(etag, row)
                if candidate != row and float(index.vectors([candidate])[0] @ vector) >= SAME_BYTES:
                    first = candidate
            if first != row:
                copies[row] = copies.get(first, first)
        done += len(rows)
        report(f"Compared the ETags of {done:,} of {len(index):,} images")
    return copies


def _near_pairs(
    index: Index, copies: Mapping[int, int], threshold: float, report: Callable[[str], None]
) -> set[tuple[int, int]]:
    """Rows with a cosine of `threshold` or more, the lower number first; of copies, the first alone."""
    allowed = np.zeros(index.highest_row + 1, np.bool_)
    allowed[index.all_rows()] = True
    allowed[list(copies)] = False
    pairs = set()
    done = 0
    for some in index.nearest_of_all(MOST_NEIGHBOURS, allowed=allowed):
        queries, columns = np.nonzero(some.neighbours.similarities >= threshold)
        others = some.neighbours.rows[queries, columns]
        for one, other in zip(some.rows[queries].tolist(), others.tolist(), strict=True):
            pairs.add((min(one, other), max(one, other)))
        done += len(some.rows)
        report(f"Compared {done:,} of {len(index) - len(copies):,} images")
    return pairs
