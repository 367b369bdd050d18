"""Compares a whole table with a whole bucket, from reading both to the findings."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from stepvec.audit.compare import Finding, MatchedRow, Sample, compare
from stepvec.audit.reading import ImageEmbedder, Reading, check_vectors, list_images, scan_metadata
from stepvec.audit.sorting import sorted_by_key
from stepvec.client.deployment import Deployment

Embedder = Callable[[str], AbstractContextManager[ImageEmbedder]]
"""Makes, for the time of a block, what embeds images with the model of this name."""


@dataclass(frozen=True, slots=True)
class AuditCounts:
    """What an audit looked at. `matched` rows have the key, the ETag and the model that they should have."""

    rows: int
    images: int
    matched: int
    sampled: int
    read_units: float
    ignored_by_suffix: Mapping[str, int]
    """Objects that are no images by their suffix."""


def audit_table(
    deployment: Deployment,
    prefixes: tuple[str, ...],
    *,
    sample: int,
    embedder: Embedder,
    on_finding: Callable[[Finding], None],
) -> AuditCounts:
    """Compare the rows under `prefixes` with the bucket, and `sample` of their vectors with their images.

    `on_finding` is called with each difference as it is found. Memory does not grow with the table.
    """
    reading = Reading()
    chosen: Sample[MatchedRow] = Sample(sample, random.Random())  # noqa: S311 - a sample, no secret
    matched = 0
    with sorted_by_key(scan_metadata(deployment, prefixes, reading)) as rows:
        for result in compare(rows, list_images(deployment, prefixes, reading), model=deployment.model):
            if isinstance(result, MatchedRow):
                matched += 1
                chosen.offer(result)
            else:
                on_finding(result)
    if chosen.chosen:
        with embedder(deployment.model) as embed:
            for finding in check_vectors(deployment, chosen.chosen, embed):
                if finding is not None:
                    on_finding(finding)
    return AuditCounts(
        reading.rows, reading.images, matched, len(chosen.chosen), reading.read_units, dict(reading.ignored)
    )
