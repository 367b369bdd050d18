"""How fast a run embedded, over its time: from the reports of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from stepvec.runs.reports import ShardReport

BUCKETS: Final = 120


@dataclass(frozen=True, slots=True)
class Timeline:
    """Images a second in each of `rates`, spans of `step_seconds` that follow on each other from `start` on."""

    start: datetime
    step_seconds: float
    rates: tuple[float, ...]


def timeline(reports: Sequence[ShardReport], *, buckets: int = BUCKETS) -> Timeline:
    """The rate at which the shards of `reports` were embedded.

    A shard tells when it began, how long it took and what it embedded: its images are spread evenly over that time.
    """
    spans = [(_at(report.started), max(report.seconds, 0.001), report.embedded) for report in reports]
    if not spans:
        return Timeline(datetime.fromtimestamp(0, UTC), 0.0, ())
    first = min(began for began, _, _ in spans)
    step = max(began + seconds - first for began, seconds, _ in spans) / buckets
    images = [0.0] * buckets
    for began, seconds, embedded in spans:
        begin, end = began - first, began - first + seconds
        for bucket in range(int(begin / step), min(buckets, int(end / step) + 1)):
            overlap = min(end, (bucket + 1) * step) - max(begin, bucket * step)
            images[bucket] += embedded * max(0.0, overlap) / seconds
    return Timeline(datetime.fromtimestamp(first, UTC), step, tuple(count / step for count in images))


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
