"""What VerifyRun says that a run cost, and what it would have planned."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.verify_run.cost import Pipeline, RunTimes, cost_of_run, plan_of
from lambdas.verify_run.tally import Tally
from stepvec import codec
from stepvec.adapters.figures import load_throughput
from stepvec.runs.reports import PlannedRun, RunCost, RunReport
from stepvec.runs.run_input import RunInput, parse_normal_form
from stepvec.runs.steps import ListingCounts, ShardingStep
from stepvec_cli.views.plan import comparison_lines
from tests.fakes import MODEL
from tests.unit.test_announcement import report
from tests.unit.test_verification import CAPACITY, INPUT, PIPELINE, shard

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMES = RunTimes(START, START + timedelta(seconds=30), START + timedelta(seconds=300))
LISTING = ListingCounts(listed=100, bytes=100 * 200_000)
STEPS = load_throughput().steps


def tally(*, attempt: int = 1, seconds: float = 40.0, started: float = 100.0, reported: bool = True) -> Tally:
    """Of two shards of 10 images; the first is as said, the second took 2 s."""
    total = Tally()
    entry, verified, first = shard(0, embedded=10)
    first = dataclasses.replace(
        first, attempt=attempt, seconds=seconds, started=(START + timedelta(seconds=started)).isoformat()
    )
    total.add_shard(entry, dataclasses.replace(verified, seconds=1.5), first if reported else None)
    total.add_shard(*shard(1, embedded=10))
    return total


def run_input(**changes: Any) -> RunInput:
    return parse_normal_form(json.dumps({**INPUT, **changes}).encode(), where="input.json")


def cost(counted: Tally, pipeline: Pipeline = PIPELINE, **changes: Any) -> RunCost:
    return cost_of_run(counted, LISTING, run_input(**changes), pipeline, TIMES)


def test_what_was_counted_is_taken_and_the_rest_reckoned() -> None:
    used = cost(tally()).usage
    assert used["write_units"] == 3 * 20
    # 1 by each worker and by each VerifyShard, as the shards say, and those that ShardImages told.
    assert used["read_units"] == 4
    told = tally()
    told.add_sharding(ShardingStep((), (), 0, 0, read_units=7.5))
    assert cost(told).usage["read_units"] == 11.5
    assert used["vcpu_seconds"] == 42
    assert used["s3_gets"] == 20 + 5 + 2 * 12 + 8
    # Listing and sharding took 30 s, VerifyShard told 1.5, and each function but those may have started cold.
    assert used["lambda_gb_seconds"] == pytest.approx((30 + 1 + 1.5 + 4) * 1_769 / 1_024)


def test_steps_of_an_older_version_did_not_tell_what_they_read() -> None:
    older = tally()
    older.add_sharding(ShardingStep((), (), 0, 0))
    older.add_sharding(ShardingStep((), (), 0, 0, read_units=1.0))
    # Half a unit for each listed image, beside what the other step told.
    assert cost(older).usage["read_units"] == 5 + 50
    # A run that embeds all again does not look for rows, but for the sake of shared ids.
    assert cost(older, Reembed=True).usage["read_units"] == 5
    assert cost(older, Reembed=True, ImageId="stem").usage["read_units"] == 55


def test_a_job_that_was_tried_again_counts_from_its_first_chance_to_start() -> None:
    # Its last attempt began 100 s after the run, and took 40 s; jobs could start after 30 s.
    assert cost(tally(attempt=2)).usage["vcpu_seconds"] == 110 + 2


def test_a_job_that_never_reported_counts_to_the_end_of_the_run() -> None:
    assert cost(tally(reported=False)).usage["vcpu_seconds"] == 270 + 2


def test_a_job_of_several_vcpus_counts_each() -> None:
    pipeline = dataclasses.replace(PIPELINE, capacity=dataclasses.replace(CAPACITY, vcpus_per_job=4))
    used = cost(tally(), pipeline).usage
    assert used["vcpu_seconds"] == 4 * 42
    assert used["start_vcpu_seconds"] == 2 * 4 * STEPS.instance_start_seconds


def test_the_total_is_known_with_a_price_of_vcpus_and_unknown_without() -> None:
    assert isinstance(cost(tally()).total_usd, float)
    spot = dataclasses.replace(PIPELINE, capacity=dataclasses.replace(CAPACITY, vcpu_hour_usd=0.0))
    assert cost(tally(), spot).total_usd == "unknown"


def test_the_plan_is_of_as_many_images() -> None:
    planned = plan_of(20, LISTING, run_input(), PIPELINE)
    assert planned.images == 20
    assert planned.usd["dynamodb"] == pytest.approx((20 * (3 * 0.625 + (0.5 + 0.5) * 0.125) + 0.125) / 1e6, abs=1e-8)
    assert isinstance(planned.seconds, float)
    assert planned.seconds > STEPS.instance_start_seconds


def test_a_report_without_a_plan_is_read_and_shown() -> None:
    document = codec.to_document(report())
    del document["planned"]
    old = codec.from_document(RunReport, document, where="report.json")
    assert old.planned is None
    assert list(comparison_lines(old)) == []


def test_planned_and_actual_stand_side_by_side() -> None:
    actual = report(
        seconds=150.0,
        images_per_second=8.5,
        cost=RunCost({}, {"batch": "unknown", "dynamodb": 0.0102}, "unknown", ""),
        planned=PlannedRun(20, 240.0, 10.0, "vcpus", {"batch": 0.2, "dynamodb": 0.01}, 0.21),
    )
    lines = [line.split() for line in comparison_lines(actual)]
    assert lines == [
        ["planned", "actual"],
        ["time", "4.0", "min", "2.5", "min"],
        ["images/s", "10.0", "8.5"],
        ["batch,", "$", "0.2000", "unknown"],
        ["dynamodb,", "$", "0.0100", "0.0102"],
        ["total,", "$", "0.2100", "unknown"],
    ]


def test_the_reports_plan_needs_the_models_name() -> None:
    assert plan_of(0, LISTING, run_input(), dataclasses.replace(PIPELINE, model=f"{MODEL}/openvino-bf16")).images == 0
