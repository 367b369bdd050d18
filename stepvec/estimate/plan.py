"""What a run is expected to take: shards, time, bottleneck, cost. Pure arithmetic.

A plan's notes state its assumptions; docs/cost.md shows the arithmetic, and a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stepvec.estimate import request_counts
from stepvec.estimate.capacity import Capacity, StepThroughput, Throughput, WorkerThroughput
from stepvec.estimate.cost import UNKNOWN, RunUsage, cost_of, floor_usd, total, vcpu_hour_at_most, vcpu_hour_usd
from stepvec.estimate.prices import Prices
from stepvec.limits import (
    ADVISED_JOB_SECONDS,
    GETS_PER_SECOND,
    INDEX_VECTORS_PER_SECOND,
    SUBMIT_JOBS_PER_SECOND,
    TABLE_UNITS_PER_SECOND,
)
from stepvec.rows.indexed import put_gb
from stepvec.rows.item import VectorType
from stepvec.rows.model import ModelIdentity
from stepvec.rows.units import Rows
from stepvec.runs.listing import SHARD_BYTES
from stepvec.runs.reports import RunCost
from stepvec.runs.run_input import MAX_SHARD_SIZE, MAX_SHARDS

VCPUS: Final = "vcpus"
TABLE_WRITES: Final = "table_writes"
TABLE_READS: Final = "table_reads"
INDEX_VECTORS: Final = "index_vectors"
JOB_STARTS: Final = "job_starts"

MUCH_OF_A_JOB: Final = 0.1
"""Of a job's time. Where its start takes more, a plan says which ShardSize would change that."""
IMAGES_OF_A_RUN: Final = 100_000_000
"""More in one run were not tried, and files of its sharding grow with their square (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The images to embed. `key_bytes` maps the length of a key in bytes to the number of images: it sizes the rows."""

    bytes: int
    key_bytes: Mapping[int, int]

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.key_bytes.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The expected duration and cost of a run; a figure that depends on an unknown one is "unknown".

    jobs: concurrent, of `shards` in total. images_per_second: while jobs run; `bound_by` names the bottleneck among
    `limits`. seconds: by step of the run, in order. at_most_usd: the total if every instance were on demand.
    floor_usd: what cannot be saved: a GET and a row's write units an image, and the vCPU-seconds that embed it.
    kept_usd_a_month: monthly storage cost of the rows, and of their index. notes: assumptions, and what would help.
    """

    images: int
    bytes: int
    model: str
    engine: str
    precision: str
    vector_type: str
    shards: int
    jobs: int
    vcpus: int
    write_units_an_image: float
    images_per_second: float | str
    bound_by: str
    limits: Mapping[str, float | str]
    seconds: Mapping[str, float | str]
    total_seconds: float | str
    cost: RunCost
    at_most_usd: float | str
    floor_usd: float | str
    kept_usd_a_month: float | str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pace:
    """How fast jobs embed: images per second by limit, the bottleneck, and the resulting duration."""

    limits: Mapping[str, float | None]
    bound_by: str
    images_per_second: float | None
    embed_seconds: float | None
    vcpu_seconds: float | None


def plan_run(
    workload: Workload,
    model: ModelIdentity,
    vector_type: VectorType,
    capacity: Capacity,
    *,
    prices: Prices,
    throughput: Throughput,
) -> Plan:
    """Plan to embed all of `workload` into a new table, which takes at once what `capacity` says."""
    rows = Rows(str(model), model.dimension, vector_type)
    writes = rows.write_units(workload.key_bytes)
    reads = rows.read_units(workload.key_bytes) * request_counts.VERIFY_READ_UNITS
    shards = shard_count(workload, capacity.shard_size)
    worker = throughput.of_worker(
        device=capacity.device,
        architecture=model.architecture,
        engine=model.engine,
        precision=model.precision,
        processor=capacity.processor,
    )
    reads += request_counts.worker_read_units(workload.images, shards)
    pace = _pace(workload.images, shards, capacity, worker, throughput.steps, writes=writes, reads=reads)
    seconds = _seconds(workload.images, shards, capacity, throughput.steps, pace)
    total_seconds = _sum(seconds.values())
    used = RunUsage(
        write_units=writes,
        read_units=request_counts.sharding_read_units(workload.images) + reads,
        vcpu_seconds=pace.vcpu_seconds,
        start_vcpu_seconds=request_counts.start_vcpu_seconds(shards=shards, capacity=capacity, steps=throughput.steps),
        s3_gets=request_counts.s3_gets(listed=workload.images, downloads=workload.images, shards=shards),
        s3_puts=request_counts.s3_puts(workload.images, shards, _jobs_seconds(pace, capacity)),
        state_transitions=request_counts.state_transitions(workload.images, shards, throughput.steps),
        lambda_requests=request_counts.lambda_requests(workload.images, shards, throughput.steps),
        lambda_gb_seconds=request_counts.lambda_gb_seconds(
            request_counts.function_seconds(workload.images, workload.images, shards, throughput.steps)
        ),
        log_gb=request_counts.log_gb(shards),
        metric_hours=None if total_seconds is None else request_counts.metric_hours(total_seconds),
        index_put_gb=put_gb(request_counts.index_puts(workload.images, shards), rows.index_bytes(workload.key_bytes))
        if capacity.vector_index
        else 0.0,
        http_requests=None if total_seconds is None else request_counts.http_requests(total_seconds),
    )
    vcpu_usd = vcpu_hour_usd(capacity, prices)
    at_most = cost_of(used, capacity, prices, vcpu_usd=vcpu_hour_at_most(capacity, prices))
    embedding = workload.images / worker.images_per_vcpu_second if worker else None
    return Plan(
        images=workload.images,
        bytes=workload.bytes,
        model=str(model),
        engine=model.engine,
        precision=model.precision,
        vector_type=vector_type,
        shards=shards,
        jobs=min(shards, capacity.jobs),
        vcpus=min(shards, capacity.jobs) * capacity.vcpus_per_job,
        write_units_an_image=round(writes / workload.images, 3) if workload.images else 0.0,
        images_per_second=_told(pace.images_per_second),
        bound_by=pace.bound_by,
        limits={name: _told(limit) for name, limit in pace.limits.items()},
        seconds={step: _told(value) for step, value in seconds.items()},
        total_seconds=_told(total_seconds),
        cost=cost_of(used, capacity, prices, vcpu_usd=vcpu_usd),
        at_most_usd=at_most.total_usd,
        floor_usd=floor_usd(workload.images, writes, embedding, prices, vcpu_usd=vcpu_usd),
        kept_usd_a_month=_kept(rows, workload, capacity, prices),
        notes=(
            *_notes(capacity, worker, throughput.steps, prices, pace),
            *_notes_on_shards(workload.images, shards, capacity, worker, throughput.steps),
        ),
    )


def shard_count(workload: Workload, shard_size: int) -> int:
    """Number of shards of a run, by images and by bytes."""
    if not workload.images:
        return 0
    return max(math.ceil(workload.images / shard_size), math.ceil(workload.bytes / SHARD_BYTES))


def _pace(
    images: int,
    shards: int,
    capacity: Capacity,
    worker: WorkerThroughput | None,
    steps: StepThroughput,
    *,
    writes: int,
    reads: float,
) -> _Pace:
    if not images:
        return _Pace({}, "", 0.0, 0.0, 0.0)
    vcpus = min(shards, capacity.jobs) * capacity.vcpus_per_job
    limits: dict[str, float | None] = {
        VCPUS: vcpus * worker.images_per_vcpu_second if worker else None,
        TABLE_WRITES: capacity.table_write_units * images / writes,
        # While jobs run, workers look for some rows, and VerifyShard reads those of shards that are done.
        TABLE_READS: capacity.table_read_units * images / reads,
        "s3_gets": float(GETS_PER_SECOND),
        JOB_STARTS: SUBMIT_JOBS_PER_SECOND * images / shards,
        **({INDEX_VECTORS: float(INDEX_VECTORS_PER_SECOND)} if capacity.vector_index else {}),
    }
    if worker is None:
        return _Pace(limits, UNKNOWN, None, None, None)
    known = {name: limit for name, limit in limits.items() if limit is not None}
    bound_by = min(known, key=lambda name: known[name])
    # A job that waits for the table, or for S3, is paid all the same.
    slowdown = known[VCPUS] / known[bound_by]
    job_seconds = steps.job_start_seconds + slowdown * math.ceil(images / shards) / (
        worker.images_per_vcpu_second * capacity.vcpus_per_job
    )
    waves = math.ceil(shards / capacity.jobs)
    vcpu_seconds = shards * capacity.vcpus_per_job * job_seconds
    return _Pace(limits, bound_by, known[bound_by], waves * job_seconds, vcpu_seconds)


def _seconds(
    images: int, shards: int, capacity: Capacity, steps: StepThroughput, pace: _Pace
) -> dict[str, float | None]:
    jobs = min(shards, capacity.jobs)
    return {
        "list": images / steps.list_keys_per_second + steps.function_start_seconds,
        "shard": images / steps.shard_keys_per_second + steps.function_start_seconds,
        "start": steps.instance_start_seconds + jobs / SUBMIT_JOBS_PER_SECOND if shards else 0.0,
        "embed": pace.embed_seconds,
        # Of the last shard, then of the run: those before are verified while others embed.
        "verify": images / max(1, shards) / steps.verify_rows_per_second + 2 * steps.function_start_seconds,
    }


def _jobs_seconds(pace: _Pace, capacity: Capacity) -> float | None:
    return None if pace.vcpu_seconds is None else pace.vcpu_seconds / capacity.vcpus_per_job


def _kept(rows: Rows, workload: Workload, capacity: Capacity, prices: Prices) -> float | str:
    stored_gb = rows.stored_gb(workload.key_bytes)
    each = [(stored_gb, prices.each("dynamodb_storage")), (stored_gb, prices.each("dynamodb_recovery"))]
    if capacity.vector_index:
        each.append((rows.index_bytes(workload.key_bytes) / 1e9, prices.each("s3_vectors_storage")))
    return total({str(number): UNKNOWN if usd is None else gb * usd for number, (gb, usd) in enumerate(each)})


def _notes(
    capacity: Capacity, worker: WorkerThroughput | None, steps: StepThroughput, prices: Prices, pace: _Pace
) -> tuple[str, ...]:
    notes = ["All images are assumed to be new, and the table empty: with rows in it, half a read unit more an image."]
    if worker is None:
        on_arm = " on arm64" if capacity.processor == "arm64" else ""
        notes.append(
            f"Throughput of this model and engine{on_arm} was not measured: time and cost of instances are unknown."
        )
    else:
        mark = " (provisional)" if worker.provisional else ""
        notes.append(f"{worker.images_per_vcpu_second} images/s per vCPU, {worker.measured}{mark}: {worker.source}.")
    if steps.provisional:
        notes.append(f"Steps: {steps.source}.")
    if capacity.vcpu_hour_usd:
        notes.append(f"A vCPU-hour is ${capacity.vcpu_hour_usd}, as you said.")
    elif vcpu_hour_usd(capacity, prices) is None:
        notes.append(
            f"The price of a vCPU-hour{' with Spot' if capacity.spot else ''} is not known, so the total is not: give "
            "--vcpu-hour-usd, or vcpu_hour_usd in cdk.json."
        )
    if pace.bound_by in {TABLE_WRITES, TABLE_READS} and pace.limits[VCPUS]:
        notes.append(_warm(capacity, pace))
    if pace.bound_by == INDEX_VECTORS and worker is not None:
        enough = math.ceil(INDEX_VECTORS_PER_SECOND / (worker.images_per_vcpu_second * capacity.vcpus_per_job))
        notes.append(
            f"An index of S3 Vectors takes {INDEX_VECTORS_PER_SECOND:,} vectors a second, and jobs that wait for it "
            f'are paid: "max_concurrency": {enough} in cdk.json is as fast, and cheaper.'
        )
    if capacity.is_table_warmed:
        notes.append("AWS charges for warm_throughput once; that price is unknown, and not in the plan.")
    return tuple(notes)


def _notes_on_shards(
    images: int, shards: int, capacity: Capacity, worker: WorkerThroughput | None, steps: StepThroughput
) -> Iterator[str]:
    if worker is not None and shards:
        yield from _notes_on_starts(images, shards, capacity, worker, steps)
    if shards > MAX_SHARDS:
        size = math.ceil(images / MAX_SHARDS)
        larger = f"ShardSize {size:,} or more, or " if size <= MAX_SHARD_SIZE else ""
        yield f"A run has at most {MAX_SHARDS:,} shards, and this one would have {shards:,}: {larger}several runs."
    if images > IMAGES_OF_A_RUN:
        runs = math.ceil(images / IMAGES_OF_A_RUN)
        yield (
            f"More than {IMAGES_OF_A_RUN:,} images in one run were never tried. Make it {runs:,} runs, one after the "
            "other, each with Paths of its own, or with a Manifest that names a part of an S3 Inventory's files, which "
            "halves the time of listing and sharding (docs/performance.md). Together they cost what this plan says."
        )


def _notes_on_starts(
    images: int, shards: int, capacity: Capacity, worker: WorkerThroughput, steps: StepThroughput
) -> Iterator[str]:
    """Which ShardSize would help, where a job's start is much of its time. None would where vCPUs idled for it."""
    rate = worker.images_per_vcpu_second * capacity.vcpus_per_job

    def share(size: float) -> float:
        return steps.job_start_seconds / (steps.job_start_seconds + size / rate)

    size = math.ceil(images / shards)
    better = min(math.ceil(ADVISED_JOB_SECONDS[0] * rate), math.ceil(images / capacity.jobs), MAX_SHARD_SIZE)
    if share(size) > MUCH_OF_A_JOB and better > size:
        yield (
            f"Of each job's {steps.job_start_seconds + size / rate:.0f} s its start is {share(size):.0%}: with "
            f"ShardSize {better:,} it would be {share(better):.0%}. AWS advises jobs of {ADVISED_JOB_SECONDS[0] // 60} "
            f"to {ADVISED_JOB_SECONDS[1] // 60} minutes."
        )


def _warm(capacity: Capacity, pace: _Pace) -> str:
    wanted = pace.limits[VCPUS] or 0.0

    def needed(units: int, limit: float | None) -> int:
        return max(units, math.ceil(units * wanted / limit / 1000) * 1000) if limit else units

    write = needed(capacity.table_write_units, pace.limits[TABLE_WRITES])
    read = needed(capacity.table_read_units, pace.limits[TABLE_READS])
    name, units = (
        ("write", capacity.table_write_units) if pace.bound_by == TABLE_WRITES else ("read", capacity.table_read_units)
    )
    quota = (
        f" More than {TABLE_UNITS_PER_SECOND:,} need a higher table-level quota first (Service Quotas)."
        if max(write, read) > TABLE_UNITS_PER_SECOND
        else ""
    )
    return (
        f"The table's initial {name} units, {units:,} a second, are the bottleneck; a table takes twice its previous "
        f'peak. To match the vCPUs: "warm_throughput": [{write}, {read}] in cdk.json, or, for a table of your own, '
        "aws dynamodb update-table --table-name TABLE --warm-throughput "
        f"WriteUnitsPerSecond={write},ReadUnitsPerSecond={read} "
        f"(AWS charges for it once; that price is unknown, and not in the plan).{quota}"
    )


def _sum(values: Iterable[float | None]) -> float | None:
    seconds = 0.0
    for value in values:
        if value is None:
            return None
        seconds += value
    return seconds


def _told(value: float | None) -> float | str:
    return UNKNOWN if value is None else round(value, 2)
