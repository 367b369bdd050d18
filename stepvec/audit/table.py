"""Compares a whole table with a whole bucket, from reading both to the findings."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from stepvec.audit.compare import Finding, MatchedRow, Sample, compare
from stepvec.audit.indexed import IndexAudit
from stepvec.audit.reading import ImageEmbedder, Reading, check_vectors, list_objects, scan_metadata
from stepvec.audit.sorting import sorted_by_key
from stepvec.client.deployment import Deployment
from stepvec.client.scope import Scope
from stepvec.runs.images import SuffixRule

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
    vectors: int = 0
    """In the index of S3 Vectors; 0 where there is none."""


def audit_table(
    deployment: Deployment,
    scope: Scope,
    *,
    suffixes: SuffixRule,
    sample: int,
    embedder: Embedder,
    on_finding: Callable[[Finding], None],
) -> AuditCounts:
    """Compare the rows in `scope` with the bucket and the index, and `sample` of their vectors with their images.

    Objects without a row are missed where `suffixes` take them for images. `on_finding` is called with each difference
    as it is found. Memory does not grow with the table.
    """
    reading = Reading(suffixes)
    chosen: Sample[MatchedRow] = Sample(sample, random.Random())  # noqa: S311 - a sample, no secret
    matched = 0
    scanned = scan_metadata(deployment, scope, reading)
    index = IndexAudit(deployment, on_finding) if deployment.vector_index else None
    with sorted_by_key(scanned if index is None else index.watch(scanned)) as rows:
        objects = list_objects(deployment, scope, reading)
        for result in compare(rows, objects, model=deployment.model, is_missed=reading.is_missed):
            if isinstance(result, MatchedRow):
                matched += 1
                chosen.offer(result)
            else:
                on_finding(result)
    if index is not None:
        index.check_vectors(scope)
    if chosen.chosen:
        with embedder(deployment.model) as embed:
            for finding in check_vectors(deployment, chosen.chosen, embed):
                if finding is not None:
                    on_finding(finding)
    return AuditCounts(
        reading.rows,
        reading.images,
        matched,
        len(chosen.chosen),
        reading.read_units + (index.read_units if index is not None else 0.0),
        dict(reading.ignored),
        vectors=index.vectors if index is not None else 0,
    )
