"""One outcome for each image of a shard, by what the table holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from stepvec.rows.item import RowMetadata
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import MISSING_NAMED


class ImageOutcome(Enum):
    """What became of an image."""

    EMBEDDED = auto()
    """Its row is there, written by this run."""
    UNCHANGED = auto()
    """Its row is there, written by another run; if re-embedding was requested, since then."""
    FAILED = auto()
    """The worker says why it has none."""
    MISSING = auto()
    """No row with the right ETag and Model, and no reason; or its vector is not in the index that there is."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What rows must hold to count."""

    run: str
    model: str
    since: datetime | None = None
    """When re-embedding was requested; None if it was not."""
    not_indexed: Collection[str] = frozenset()
    """Ids of rows whose vector should be in the index, and is not."""


def outcome(
    image: ShardImage, row: RowMetadata | None, failed_ids: Collection[str], expected: Expectation
) -> ImageOutcome:
    """The image's one outcome. The table's word counts; the worker's only for images that failed."""
    if image.image_id in failed_ids:
        return ImageOutcome.FAILED
    if row is None or not row.is_embedding_of(image.etag, expected.model):
        return ImageOutcome.MISSING
    if image.image_id in expected.not_indexed:
        return ImageOutcome.MISSING
    if row.run == expected.run:
        return ImageOutcome.EMBEDDED
    # Another run over the same images may have embedded it again in the meantime.
    is_fresh = expected.since is None or row.was_written_since(expected.since)
    return ImageOutcome.UNCHANGED if is_fresh else ImageOutcome.MISSING


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcomes counted, rows found with the right ETag and Model, rows with another, and a few missing keys.

    `failures` has one for each image that failed, with its ETag.
    """

    outcomes: Mapping[ImageOutcome, int]
    found: int
    wrong: int
    missing_sample: tuple[str, ...]
    failures: tuple[ImageFailure, ...]


def verify(
    images: Iterable[ShardImage],
    metadata: Mapping[str, RowMetadata],
    reported: Iterable[ImageFailure],
    expected: Expectation,
) -> Verdict:
    """Count the outcomes of `images` against the metadata of their rows and the failures that the worker reported."""
    by_id = {failure.image_id: failure for failure in reported}
    outcomes: Counter[ImageOutcome] = Counter()
    found = wrong = 0
    missing: list[str] = []
    failures: list[ImageFailure] = []
    for image in images:
        row = metadata.get(image.image_id)
        result = outcome(image, row, by_id, expected)
        outcomes[result] += 1
        if result is ImageOutcome.MISSING and len(missing) < MISSING_NAMED:
            missing.append(image.key)
        if result is ImageOutcome.FAILED:
            failures.append(replace(by_id[image.image_id], etag=image.etag))
        elif row is not None:
            is_right = row.is_embedding_of(image.etag, expected.model)
            found += is_right
            wrong += not is_right
    return Verdict(outcomes, found, wrong, tuple(missing), tuple(failures))
