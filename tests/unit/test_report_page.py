"""A run's report as a page: the curve, the failures with their pictures, and nobody's key as markup."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stepvec.client.failure_samples import FailureSample
from stepvec.client.timeline import Timeline, timeline
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import ShardReport, StageSeconds
from stepvec_cli.views.report_page import page
from tests.unit.test_announcement import report

NO_TIME = Timeline(datetime(2026, 11, 26, tzinfo=UTC), 0.0, ())


def shard_report(started: str, seconds: float, embedded: int, **changes: Any) -> ShardReport:
    values: dict[str, Any] = {
        "run": "r", "shard": 0, "images": embedded, "embedded": embedded, "unchanged": 0, "failures": (), "model": "m",
        "vector_type": "float32", "attempt": 1, "started": started, "seconds": seconds,
        "stages": StageSeconds(0, 0, 0, 0), "downloaded_bytes": 0, "write_units": 0, "read_units": 0,
        "peak_memory_mb": 1, "host": "h",
    }  # fmt: skip
    return ShardReport(**(values | changes))


def test_the_rates_of_shards_add_up_where_they_overlap_and_no_image_is_lost() -> None:
    reports = [
        shard_report("2026-11-26T10:00:00+00:00", 10.0, 100),
        shard_report("2026-11-26T10:00:05+00:00", 10.0, 50),
    ]
    drawn = timeline(reports, buckets=3)
    assert drawn.start == datetime(2026, 11, 26, 10, tzinfo=UTC)
    assert drawn.step_seconds == 5.0
    assert drawn.rates == pytest.approx((10.0, 15.0, 5.0))
    assert sum(drawn.rates) * drawn.step_seconds == pytest.approx(150)


def test_a_run_that_embedded_nothing_has_no_curve() -> None:
    assert timeline([]).rates == ()
    assert "Nothing was embedded" in page(report(), NO_TIME, {}, is_partial=False)


def test_keys_and_messages_are_text_and_never_markup() -> None:
    failure = ImageFailure("<img src=x onerror=alert(1)>.jpg", "i", FailureReason.TRUNCATED, "<script>")
    samples = {"Truncated": [FailureSample(failure, "")]}
    text = page(report(failed_by_reason={"Truncated": 1}), NO_TIME, samples, is_partial=False)
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in text
    assert "<script" not in text
    assert "nothing to see" in text


def test_the_page_asks_nobody_for_anything() -> None:
    drawn = timeline([shard_report("2026-11-26T10:00:00+00:00", 10.0, 100)])
    text = page(report(), drawn, {}, is_partial=True)
    assert "<polygon" in text
    assert "a part of the shards" in text
    assert "http://" not in text
    assert "https://" not in text
