"""What jobs leave, written without running any: reports of shards, and of those that are left out all other files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.function_process import SHARD_SIZE
from stepvec.adapters.figures import load_throughput
from stepvec.adapters.object_store import ObjectStore
from stepvec.rows.model import ModelIdentity
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import LISTING_FILE_LINES, dump_shard
from stepvec.runs.reports import ShardReport, StageSeconds, VerifiedShard
from stepvec.runs.steps import ShardEntry, ShardingStep
from testkit.storage.synthetic import MODEL

IDENTITY: Final = ModelIdentity.parse(f"{MODEL}/openvino-int8-01234567")
"""What embeds: the fastest there is."""
SHARDS_OF_A_WINDOW: Final = LISTING_FILE_LINES // SHARD_SIZE
_THREADS: Final = 16


def entries_of(layout: RunLayout, window: int) -> tuple[ShardEntry, ...]:
    """The shards that ShardImages makes of a full listing file of which nothing is stored."""
    first = window * SHARDS_OF_A_WINDOW
    numbers = range(first, first + SHARDS_OF_A_WINDOW)
    return tuple(ShardEntry(number, str(layout.shard(number)), SHARD_SIZE) for number in numbers)


def write_steps(store: ObjectStore, layout: RunLayout, windows: Iterable[int]) -> None:
    """What ShardImages would have written of the `windows` that are left out, but for their shards' images."""

    def write(window: int) -> None:
        store.write_record(
            layout.sharding_step(window), ShardingStep(entries_of(layout, window), (), unchanged=0, duplicates=0)
        )
        store.write(layout.carry(window), dump_shard([]), content_type="application/gzip")

    _all(write, windows)


def write_reports(store: ObjectStore, layout: RunLayout, shards: Iterable[int]) -> None:
    """The report of each shard's job: all of its images embedded, at the pace of one vCPU."""

    seconds = job_seconds()

    def write(shard: int) -> None:
        report = ShardReport(
            run=layout.run, shard=shard, images=SHARD_SIZE, embedded=SHARD_SIZE, unchanged=0, failures=(), model=MODEL,
            vector_type="int8", attempt=1, started="2026-11-25T00:00:00.000+00:00",
            seconds=seconds, stages=StageSeconds(1.0, 1.0, 1.0, 1.0),
            downloaded_bytes=SHARD_SIZE * 200_000, write_units=float(SHARD_SIZE), read_units=SHARD_SIZE / 2,
            peak_memory_mb=500, host="model",
        )  # fmt: skip
        store.write_record(layout.shard_report(shard), report)

    _all(write, shards)


def write_verified(store: ObjectStore, layout: RunLayout, shards: Iterable[int]) -> None:
    """What VerifyShard would have written of shards that are left out."""

    def write(shard: int) -> None:
        verified = VerifiedShard(
            run=layout.run, shard=shard, images=SHARD_SIZE, embedded=SHARD_SIZE, unchanged=0, failed=0, missing=0,
            found=SHARD_SIZE, wrong=0, missing_sample=(), read_units=SHARD_SIZE / 2, error="", failures=(), seconds=1.0,
        )  # fmt: skip
        store.write_record(layout.verified(shard), verified)

    _all(write, shards)


def job_seconds() -> float:
    """Seconds of a job of one vCPU: its start and a shard, at the pace that `stepvec plan` reckons with."""
    throughput = load_throughput()
    worker = throughput.of_worker(
        device="cpu", architecture=IDENTITY.architecture, engine=IDENTITY.engine, precision=IDENTITY.precision
    )
    if worker is None:
        raise RuntimeError(f"throughput.json has no figure for {IDENTITY}")
    return round(throughput.steps.job_start_seconds + SHARD_SIZE / worker.images_per_vcpu_second, 3)


def _all(write: Callable[[int], None], numbers: Iterable[int]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(write, numbers):
            """Each result is awaited, so that an error is raised here."""
