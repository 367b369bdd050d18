"""One outcome for each image of a shard, by what the table holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from stepvec.item import StoredMark
from stepvec.records.listing import ShardImage

MISSING_NAMED: Final = 20
"""Missing keys that a verified shard names."""


class Outcome(Enum):
    """What became of an image."""

    EMBEDDED = auto()
    """Its row is there, written by this run."""
    UNCHANGED = auto()
    """Its row is there, written by another run."""
    FAILED = auto()
    """The worker says why it has none."""
    MISSING = auto()
    """No row with the right ETag and Model, and no reason."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What rows must hold to count."""

    run: str
    model: str
    reembed: bool


def outcome(image: ShardImage, mark: StoredMark | None, failed_ids: frozenset[str], expected: Expectation) -> Outcome:
    """The image's one outcome. The table's word counts; the worker's only for images that failed."""
    if image.image_id in failed_ids:
        return Outcome.FAILED
    if mark is None or not mark.is_embedding_of(image.etag, expected.model):
        return Outcome.MISSING
    if mark.run == expected.run:
        return Outcome.EMBEDDED
    # Embedding again was asked for, and this row is an older run's.
    return Outcome.MISSING if expected.reembed else Outcome.UNCHANGED


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcomes counted, rows found with the right ETag and Model, rows with another, and a few missing keys."""

    outcomes: Mapping[Outcome, int]
    found: int
    wrong: int
    missing_sample: tuple[str, ...]


def verify(
    images: Iterable[ShardImage], marks: Mapping[str, StoredMark], failed_ids: frozenset[str], expected: Expectation
) -> Verdict:
    """Count the outcomes of `images` against the marks of their rows."""
    outcomes: Counter[Outcome] = Counter()
    found = wrong = 0
    missing: list[str] = []
    for image in images:
        mark = marks.get(image.image_id)
        result = outcome(image, mark, failed_ids, expected)
        outcomes[result] += 1
        if result is Outcome.MISSING and len(missing) < MISSING_NAMED:
            missing.append(image.key)
        if mark is not None and result is not Outcome.FAILED:
            is_right = mark.is_embedding_of(image.etag, expected.model)
            found += is_right
            wrong += not is_right
    return Verdict(outcomes, found, wrong, tuple(missing))
