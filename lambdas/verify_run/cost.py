"""What a run cost, and what a plan says about a run of the same size: pure arithmetic on its tally.

What nobody counts (requests beside the images, the functions' time, starting instances) is estimated, and upward, so
that no total is too small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from lambdas.verify_run.tally import Tally
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.estimate import request_counts
from stepvec.estimate.capacity import Capacity
from stepvec.estimate.cost import RunUsage, cost_of, vcpu_hour_usd
from stepvec.estimate.plan import Workload, plan_run
from stepvec.rows.indexed import put_gb
from stepvec.rows.item import VectorType
from stepvec.rows.model import ModelIdentity
from stepvec.runs.reports import PlannedRun, RunCost
from stepvec.runs.run_input import RunInput
from stepvec.runs.steps import ListingCounts

TYPICAL_KEY_BYTES: Final = 60
"""Of the keys, for the plan: the report does not know how long they were."""
CLOCK_SECONDS: Final = 1
"""S3 tells when a file was written in whole seconds."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the deployment is, for the report."""

    image_bucket: str
    table: str
    model: str
    vector_type: VectorType
    capacity: Capacity

    @property
    def has_index(self) -> bool:
        """Whether vectors are put into an index of S3 Vectors, too."""
        return self.capacity.vector_index


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When the run was started, when ShardImages wrote its last file, and when VerifyRun ended."""

    started: datetime
    sharded: datetime
    finished: datetime


def cost_of_run(
    tally: Tally, listing: ListingCounts, run_input: RunInput, pipeline: Pipeline, times: RunTimes
) -> RunCost:
    """What the run cost, docs/cost.md names what is estimated."""
    prices, steps, capacity = load_prices(), load_throughput().steps, pipeline.capacity
    job_seconds = tally.job_seconds_at_most(times.sharded, times.finished)
    is_looked_up = not tally.are_sharding_reads_counted and not (run_input.reembed and run_input.image_id == "key")
    uncounted_reads = listing.listed * request_counts.SHARDING_READ_UNITS if is_looked_up else 0.0
    used = RunUsage(
        write_units=tally.write_units,
        read_units=tally.read_units + uncounted_reads,
        s3_gets=request_counts.s3_gets(listed=listing.listed, downloads=tally.downloads, shards=tally.shards),
        s3_puts=request_counts.s3_puts(listing.listed, tally.shards, job_seconds),
        state_transitions=request_counts.state_transitions(listing.listed, tally.shards, steps),
        lambda_requests=request_counts.lambda_requests(listing.listed, tally.shards, steps),
        lambda_gb_seconds=request_counts.lambda_gb_seconds(
            _function_seconds(tally, times, steps.function_start_seconds)
        ),
        vcpu_seconds=job_seconds * capacity.vcpus_per_job,
        start_vcpu_seconds=request_counts.start_vcpu_seconds(shards=tally.shards, capacity=capacity, steps=steps),
        log_gb=request_counts.log_gb(tally.shards),
        metric_hours=request_counts.metric_hours((times.finished - times.started).total_seconds()),
        index_put_gb=put_gb(tally.index_puts, tally.index_bytes),
        http_requests=request_counts.http_requests((times.finished - times.started).total_seconds()),
    )
    return cost_of(used, capacity, prices, vcpu_usd=vcpu_hour_usd(capacity, prices))


def plan_of(images: int, listing: ListingCounts, run_input: RunInput, pipeline: Pipeline) -> PlannedRun:
    """What `stepvec plan` says about a run that embeds this many images of the listed images' mean size."""
    size = listing.bytes // listing.listed if listing.listed else 0
    plan = plan_run(
        Workload(bytes=images * size, key_bytes={TYPICAL_KEY_BYTES: images}),
        ModelIdentity.parse(pipeline.model),
        pipeline.vector_type,
        replace(pipeline.capacity, shard_size=run_input.shard_size),
        prices=load_prices(),
        throughput=load_throughput(),
    )
    return PlannedRun(
        images=images,
        seconds=plan.total_seconds,
        images_per_second=plan.images_per_second,
        bound_by=plan.bound_by,
        usd=plan.cost.usd,
        total_usd=plan.cost.total_usd,
    )


def _function_seconds(tally: Tally, times: RunTimes, start_seconds: float) -> float:
    """Seconds of functions: ListImages and ShardImages ran one after the other until the last shard was written.

    VerifyShard tells its own. To it and to VerifyRun a cold start each is added, which is billed and which they do not
    see.
    """
    listing = (times.sharded - times.started).total_seconds() + CLOCK_SECONDS
    return max(0.0, listing) + tally.verify_seconds + (tally.shards + 2) * start_seconds
