"""Plans: arithmetic held against figures reckoned by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from stacks.config import PipelineConfig, read_config
from stepvec import codec, limits
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.estimate import request_counts
from stepvec.estimate.capacity import Capacity, StepThroughput, Throughput, WorkerThroughput
from stepvec.estimate.cost import UNKNOWN
from stepvec.estimate.plan import Plan, Workload, plan_run
from stepvec.metrics import MAX_RUN_METRICS
from stepvec.rows.item import VectorType
from stepvec.rows.model import ModelIdentity
from stepvec.rows.units import Rows
from tests.fakes import MODEL

INT8 = f"{MODEL}/openvino-int8-0123abcd"
CAPACITY = Capacity("cpu", 10, 1, ("c7i",), 30, spot=True, shard_size=1_000, vcpu_hour_usd=0.036)
THROUGHPUT = Throughput(
    workers=(
        WorkerThroughput("cpu", ("resnet18_v2",), "mxnet", "float32", 20.0, "2026-11", False, "a test"),
        WorkerThroughput("cpu", ("resnet18_v2",), "openvino", "int8", 50.0, "2026-11", False, "a test"),
    ),
    steps=StepThroughput(1_000, 2_000, 500, 1.0, 5.0, 100.0, False, "a test"),
)


def plan(
    images: int = 20_000,
    *,
    model: str = MODEL,
    vector: VectorType = "float32",
    size: int = 200_000,
    key_bytes: int = 60,
    throughput: Throughput = THROUGHPUT,
    **capacity: Any,
) -> Plan:
    return plan_run(
        Workload(bytes=images * size, key_bytes={key_bytes: images}),
        ModelIdentity.parse(model),
        vector,
        dataclasses.replace(CAPACITY, **capacity),
        prices=load_prices(),
        throughput=throughput,
    )


def test_time_is_that_of_the_waves_of_jobs() -> None:
    made = plan()
    assert (made.shards, made.jobs, made.vcpus) == (20, 10, 10)
    # 20 shards of 1,000 images on 10 vCPUs: two waves, each 5 s of start and 1,000 images at 20 a second.
    assert made.seconds == {
        "list": 20_000 / 1_000 + 1,
        "shard": 20_000 / 2_000 + 1,
        "start": 100 + 10 / 50,
        "embed": 2 * (5 + 50),
        "verify": 1_000 / 500 + 2,
    }
    assert made.total_seconds == pytest.approx(21 + 11 + 100.2 + 110 + 4)
    assert (made.images_per_second, made.bound_by) == (200.0, "vcpus")


def test_an_index_costs_what_is_put_and_bounds_the_pace() -> None:
    made, without = plan(vector_index=True), plan()
    # 200 full requests and one a shard, each of some 2.2 KB a vector.
    size = Rows(MODEL, 512, "float32").index_bytes({60: 20_000})
    assert 20_000 * 2_200 < size < 20_000 * 2_250
    assert made.cost.usage["index_put_gb"] == pytest.approx(size / 1e9)
    assert made.cost.usd["s3_vectors"] == pytest.approx(size / 1e9 * 0.20)
    assert float(made.kept_usd_a_month) == pytest.approx(float(without.kept_usd_a_month) + size / 1e9 * 0.06)
    assert made.bound_by == without.bound_by == "vcpus"
    assert "index_vectors" not in without.limits
    assert not {"index_put_gb", "s3_vectors"} & {*without.cost.usage, *without.cost.usd}
    # A table that takes more than the index does.
    busy: dict[str, Any] = {"jobs": 200, "table_write_units": 40_000, "table_read_units": 40_000}
    fast = plan(2_000_000, vector_index=True, **busy)
    assert (fast.bound_by, fast.images_per_second) == ("index_vectors", 2_500.0)
    assert any('"max_concurrency": 125 ' in note for note in fast.notes)
    capped = plan(2_000_000, vector_index=True, **{**busy, "jobs": 125})
    assert capped.images_per_second == 2_500.0
    assert float(capped.cost.total_usd) < float(fast.cost.total_usd)


def test_a_run_that_is_started_and_watched_by_http_costs_its_requests() -> None:
    made, without = plan(http_start=True), plan()
    requests = 2 + math.ceil(float(made.total_seconds) / 15)
    assert made.cost.usage["http_requests"] == requests
    # $1.00 and $0.20 a million, 0.1 s of 1,769 MB, 1.2 KB of logs.
    each = 1.2e-6 + 0.1 * 1_769 / 1_024 * 0.0000133334 + 1.2e-6 * 0.5
    assert made.cost.usd["http_api"] == pytest.approx(requests * each, rel=1e-3)
    assert float(made.cost.total_usd) == pytest.approx(float(without.cost.total_usd) + float(made.cost.usd["http_api"]))
    assert not {"http_requests", "http_api"} & {*without.cost.usage, *without.cost.usd}


def test_few_vectors_a_put_are_charged_as_128_kb() -> None:
    made = plan(20, shard_size=1, vector_index=True)
    assert made.cost.usage["index_put_gb"] == pytest.approx(21 * 128 * 1024 / 1e9, abs=1e-6)


def test_usage_and_cost_are_what_they_are_by_hand() -> None:
    cost = plan().cost
    assert cost.usage == {
        "write_units": 60_000,
        # One asks whether the table is empty; of 1,000 images of a shard the worker looks up 100.
        "read_units": 1 + 20_000 * (0.05 + 0.5),
        "s3_gets": 20_000 + 5 + 20 * 12 + 8,
        "s3_puts": 20 + 4 + 20 * 4 + 1_100 / 10 + 8,
        "state_transitions": 12 + 2 * 2 + 20 * 6,
        "lambda_requests": 2 + 20 + 1,
        "lambda_gb_seconds": pytest.approx((20 + 10 + 40 + 23) * 1_769 / 1_024),
        "vcpu_seconds": 20 * 55,
        "start_vcpu_seconds": 10 * 100,
        "log_gb": 0.000352,
        "metric_hours": MAX_RUN_METRICS,
    }
    assert cost.usd["batch"] == pytest.approx((1_100 + 1_000) / 3_600 * 0.036)
    assert cost.usd["dynamodb"] == pytest.approx(0.06 * 0.625 + 0.011_001 * 0.125)
    assert cost.total_usd == pytest.approx(sum(float(usd) for usd in cost.usd.values()))


@pytest.mark.parametrize(
    ("vector", "key_bytes", "units"),
    [("float32", 60, 3), ("float16", 60, 2), ("int8", 60, 1), ("int8", 113, 1), ("int8", 114, 2), ("float32", 372, 4)],
)
def test_write_units_follow_the_vector_type_and_the_key(vector: VectorType, key_bytes: int, units: int) -> None:
    made = plan(model=INT8, vector=vector, key_bytes=key_bytes)
    assert made.write_units_an_image == units
    assert made.cost.usage["write_units"] == 20_000 * units
    assert made.limits["table_writes"] == pytest.approx(4_000 / units, abs=0.01)


def test_keys_of_several_lengths_are_each_counted() -> None:
    rows = Rows(INT8, 512, "int8")
    assert rows.write_units({60: 10, 200: 1}) == 12
    assert rows.read_units({60: 10, 200: 1}) == 11


def test_a_row_of_more_than_4_kb_costs_two_units_to_verify() -> None:
    assert Rows("efficientnet_lite0/ab3352bc3c78/standard-1", 1280, "float32").read_units({60: 100}) == 200


def test_a_cold_table_holds_a_large_deployment_and_the_plan_says_how_to_warm_it() -> None:
    made = plan(2_000_000, jobs=200)
    # 200 vCPUs at 20 a second are 4,000 images a second; a cold table takes 4,000 units, 3 an image.
    assert made.limits == {
        "vcpus": 4_000.0,
        "table_writes": 1_333.33,
        "table_reads": 21_818.18,
        "s3_gets": 5_500.0,
        "job_starts": 50_000.0,
    }
    assert (made.bound_by, made.images_per_second) == ("table_writes", 1_333.33)
    # Jobs that wait are paid: 10 waves of 1,000 images at a third of the speed.
    assert made.seconds["embed"] == pytest.approx(10 * (5 + 1_000 / 20 * 3))
    assert made.cost.usage["vcpu_seconds"] == pytest.approx(2_000 * (5 + 150))
    (warm,) = (note for note in made.notes if "--warm-throughput" in note)
    assert "WriteUnitsPerSecond=12000,ReadUnitsPerSecond=12000" in warm
    assert "The table's initial write units, 4,000 a second, are the bottleneck" in warm
    assert '"warm_throughput": [12000, 12000] in cdk.json' in warm


def test_a_table_that_was_warmed_as_the_plan_says_is_the_bottleneck_no_more() -> None:
    made = plan(2_000_000, jobs=200, table_write_units=12_000, table_read_units=12_000)
    assert made.limits["table_writes"] == 4_000.0
    assert (made.bound_by, made.images_per_second) == ("vcpus", 4_000.0)
    # Three times as fast, and jobs that do not wait are not paid for it.
    assert made.seconds["embed"] == pytest.approx(10 * (5 + 1_000 / 20))
    assert not any("--warm-throughput" in note for note in made.notes)
    assert any("charges for warm_throughput once; that price is unknown" in note for note in made.notes)
    assert not any("warm_throughput" in note for note in plan().notes)


def test_what_is_beyond_a_tables_quota_is_said_to_need_a_higher_one() -> None:
    (warm,) = (note for note in plan(2_000_000, jobs=1_000).notes if "--warm-throughput" in note)
    assert "[60000, " in warm
    assert "higher table-level quota" in warm
    # Where that was granted, the setting takes what the plan says.
    assert read_config({"warm_throughput": [60_000, 30_000]}).capacity.table_write_units == 60_000
    (warm,) = (note for note in plan(2_000_000, jobs=200).notes if "--warm-throughput" in note)
    assert "quota" not in warm


def test_the_capacity_of_a_new_table_is_stored_as_it_was_before_tables_could_be_warmed() -> None:
    stored = codec.to_document(CAPACITY)
    assert not {"table_write_units", "table_read_units"} & set(stored)
    warm = dataclasses.replace(CAPACITY, table_write_units=12_000)
    assert codec.to_document(warm) == {**stored, "table_write_units": 12_000}
    for capacity in (CAPACITY, warm):
        assert codec.from_json(Capacity, codec.to_json(capacity), where="a test") == capacity


def notes_about(made: Plan, words: str) -> list[str]:
    return [note for note in made.notes if words in note]


def test_of_short_jobs_the_plan_says_what_their_start_takes_and_which_shard_size_helps() -> None:
    # 100 images at 20 a second are 5 s, and so is the start; 180 s of work are 3,600 images.
    (note,) = notes_about(plan(100_000, shard_size=100), "ShardSize")
    assert "Of each job's 10 s its start is 50%: with ShardSize 3,600 it would be 3%." in note
    assert "jobs of 3 to 5 minutes" in note
    assert plan(100_000, shard_size=3_600).vcpus == 10
    assert not notes_about(plan(100_000, shard_size=3_600), "ShardSize")


def test_no_larger_shards_are_advised_where_vcpus_would_idle_for_them() -> None:
    # 1,000 images on 10 vCPUs: 100 each, and no larger shard keeps all ten busy.
    assert not notes_about(plan(1_000, shard_size=100), "ShardSize")
    (note,) = notes_about(plan(2_000, shard_size=100), "ShardSize")
    assert "with ShardSize 200 it would be 33%" in note


def test_jobs_that_cannot_be_started_fast_enough_are_the_bottleneck() -> None:
    # Two images a shard: 50 jobs a second are 100 images.
    made = plan(10_000, shard_size=2, jobs=1_000)
    assert (made.bound_by, made.limits["job_starts"]) == ("job_starts", 100.0)


def test_more_than_a_run_may_have_is_said_with_what_to_do() -> None:
    made = plan(1_000_000_000, shard_size=5_000)
    (shards,) = notes_about(made, "at most 50,000 shards")
    assert "this one would have 200,000: ShardSize 20,000 or more, or several runs." in shards
    (runs,) = notes_about(made, "never tried")
    assert "Make it 10 runs" in runs
    assert not notes_about(plan(100_000_000, shard_size=5_000), "several runs")
    assert not notes_about(plan(100_000_000, shard_size=5_000), "never tried")
    (images,) = notes_about(plan(10_000_000_000, shard_size=5_000), "at most 50,000 shards")
    assert "this one would have 2,000,000: several runs." in images, "no ShardSize is large enough"


def test_what_the_plan_says_of_warming_lets_the_vcpus_be_the_bound() -> None:
    made = plan(2_000_000, jobs=200, vector="int8", model=INT8)
    # 200 vCPUs at 50 a second: 10,000 images a second, a unit each; reads are a unit an image, which a new table takes.
    assert made.bound_by == "table_writes"
    (warm,) = (note for note in made.notes if "--warm-throughput" in note)
    assert "WriteUnitsPerSecond=10000,ReadUnitsPerSecond=12000" in warm


def test_shards_of_large_images_are_cut_by_bytes() -> None:
    assert plan(1_000, size=100_000_000).shards == 5


def test_fewer_shards_than_vcpus_use_few() -> None:
    made = plan(1_500)
    assert (made.shards, made.jobs, made.vcpus) == (2, 2, 2)
    assert made.cost.usage["start_vcpu_seconds"] == 2 * 100


def test_a_job_of_several_vcpus_uses_them_all() -> None:
    made = plan(jobs=5, vcpus_per_job=2)
    assert made.vcpus == 10
    assert made.seconds["embed"] == 4 * (5 + 25)
    assert made.cost.usage["vcpu_seconds"] == 20 * 30 * 2


def test_without_a_measured_throughput_time_and_total_are_unknown() -> None:
    made = plan(model=f"{MODEL}/openvino-bf16")
    assert made.bound_by == made.images_per_second == made.total_seconds == made.seconds["embed"] == UNKNOWN
    assert made.cost.usd["batch"] == made.cost.total_usd == made.at_most_usd == UNKNOWN
    assert made.cost.usd["dynamodb"] != UNKNOWN
    assert any("was not measured" in note for note in made.notes)


def test_a_spot_price_that_is_not_known_leaves_an_upper_bound() -> None:
    made = plan(vcpu_hour_usd=0.0)
    assert made.cost.usd["batch"] == made.cost.total_usd == UNKNOWN
    assert any("give --vcpu-hour-usd" in note for note in made.notes)
    on_demand = plan(vcpu_hour_usd=0.0, spot=False)
    assert made.at_most_usd == on_demand.cost.total_usd == on_demand.at_most_usd
    assert on_demand.cost.usd["batch"] == pytest.approx(2_100 / 3_600 * 0.357 / 8)


def test_workers_look_up_one_chunk_in_twenty_and_at_least_one_a_shard() -> None:
    read = request_counts.worker_read_units
    assert [read(30, 1), read(2_000, 1), read(2_001, 1)] == [15, 50, 100]
    assert read(1_000_000, 200) == 200 * 3 * 100 / 2
    assert read(0, 0) == 0


def test_the_floor_is_a_get_a_row_and_a_busy_vcpu() -> None:
    made = plan()
    assert made.floor_usd == pytest.approx(0.02 * 0.40 + 0.06 * 0.625 + 1_000 / 3_600 * 0.036)
    assert float(made.floor_usd) < float(made.cost.total_usd)
    assert plan(vcpu_hour_usd=0.0).floor_usd == plan(model=f"{MODEL}/openvino-bf16").floor_usd == UNKNOWN
    assert plan(0).floor_usd == 0


def test_nothing_to_embed_costs_next_to_nothing() -> None:
    made = plan(0)
    assert (made.shards, made.jobs, made.bound_by) == (0, 0, "")
    assert isinstance(made.cost.total_usd, float)
    # The metrics' hour is nearly all of it.
    assert made.cost.total_usd < 0.02


def test_assumptions_are_those_of_the_functions() -> None:
    assert request_counts.FUNCTION_SECONDS < limits.LAMBDA_TIMEOUT_SECONDS
    config = PipelineConfig(max_vcpus=40, device="gpu", spot=False)
    assert (config.capacity.jobs, config.capacity.vcpus_per_job, config.capacity.vcpus) == (10, 4, 40)
    assert PipelineConfig(max_vcpus=64, max_concurrency=16).capacity.jobs == 16


def test_the_figures_that_are_shipped_can_be_read_and_name_their_source() -> None:
    found = load_throughput()
    assert found.of_worker(device="cpu", architecture="resnet18_v2", engine="openvino", precision="int8")
    assert found.of_worker(device="gpu", architecture="resnet18_v2", engine="mxnet", precision="float32") is None
    for worker in found.workers:
        assert worker.source
        assert worker.images_per_vcpu_second > 0
