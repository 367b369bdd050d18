"""A whole run at 1, 10 and 100 million images: `python -m bench.scale [--record]`.

docs/performance.md says what of it is real. Each step of the run is a process in the environment of AWS's runtime. The
stand-in for S3 and DynamoDB counts requests; waits for AWS are assumed as in bench/listing.py, hours and dollars are
those of `stepvec plan`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any, Final

from bench.function_process import SHARD_SIZE, run_in_lambda
from bench.listing import BATCH_GET_SECONDS, FILE_SECONDS, LIST_SECONDS, TABLE_THREADS
from bench.listing_rounds import LAMBDA_SECONDS
from bench.scale.model_of_jobs import IDENTITY
from bench.scale.steps import MEAN_BYTES, Case
from lambdas.list_images import lister
from lambdas.shard_images import sharder
from lambdas.verify_run.aggregator import READ_THREADS
from stepvec import codec
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.estimate.capacity import Capacity
from stepvec.estimate.plan import Plan, Workload, plan_run
from stepvec.estimate.request_counts import s3_gets, s3_puts
from testkit.storage.client import Storage, running_storage
from testkit.storage.synthetic import TABLE_WITH_ROWS, TABLE_WITHOUT_ROWS, key_of
from testkit.tables import markdown_table, write_section

CASES: Final = (Case(1_000_000, 2), Case(10_000_000, 20), Case(100_000_000, 100))
"""And of how many windows one is really worked on."""
CAPACITY: Final = Capacity("cpu", 64, 1, ("c7i",), 30, spot=True, shard_size=SHARD_SIZE, vcpu_hour_usd=0.191 / 8)
"""cdk.json's, with the price of docs/cost.md."""
LABELS: Final = {
    "list_images": "ListImages",
    "shard_images": "ShardImages",
    "verify_shard": "VerifyShard",
    "verify_run": "VerifyRun",
}
REQUEST_SECONDS: Final = 0.02
"""Assumed: a GET or HEAD of a small file within the region."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a step of a case took on what was really done of it, and how much of the whole that was."""

    cpu_seconds: float
    peak_mb: float
    requests: dict[str, int]
    done: int
    of: int
    state_bytes: int = 0
    end_cpu_seconds: float = 0.0

    @property
    def whole_cpu_seconds(self) -> float:
        """CPU seconds of the whole step."""
        return (self.cpu_seconds - self.end_cpu_seconds) * self.of / self.done + self.end_cpu_seconds

    def whole(self, *names: str) -> float:
        """Requests of the whole step by these names."""
        return sum(self.requests.get(name, 0) for name in names) * self.of / self.done


def run_case(case: Case) -> dict[str, Took]:
    """What each step took."""
    parts = {
        "list_images": (len(case.worked_on), case.windows),
        "shard_images": (len(case.worked_on), case.windows),
        "verify_shard": (len(case.verified), case.shards),
        "verify_run": (case.shards, case.shards),
    }
    took = {}
    with running_storage() as storage:
        for step in ("leave_out", *parts):
            before = storage.counts().requests
            result = _run_step(storage, step, case)
            after = storage.counts().requests
            if step not in parts:
                continue
            requests = {name: count - before.get(name, 0) for name, count in after.items()}
            done, of = parts[step]
            took[step] = Took(
                result["cpu_seconds"], result["peak_mb"], requests, done, of,
                result.get("state_bytes", 0), result.get("end_cpu_seconds", 0.0),
            )  # fmt: skip
            print(f"{case.keys:>12,} {step:<13} {done:,} of {of:,}: {result}", flush=True)
    return took


def _run_step(storage: Storage, step: str, case: Case) -> Any:
    table = TABLE_WITHOUT_ROWS if step == "shard_images" else TABLE_WITH_ROWS
    more = {
        "STEPVEC_VECTOR_TYPE": "int8",
        "STEPVEC_WORKER_LOG_GROUP": "logs",
        "STEPVEC_CAPACITY": codec.to_json(CAPACITY),
    }
    given = {"keys": case.keys, "stride": case.stride}
    return run_in_lambda(storage, "bench.scale.steps", step, given, keys=case.keys, table=table, more=more)


def rounds_of(step: str, took: Took) -> tuple[float, int]:
    """Minutes of a step with the waits that are assumed, and the invocations that it takes."""
    files, reads = took.whole("PUT", "HEAD"), took.whole("DynamoDB_20120810.BatchGetItem")
    if step == "list_images":
        # A GET is a page.
        waits = took.whole("GET") * LIST_SECONDS + files * FILE_SECONDS
        seconds = LAMBDA_SECONDS - lister.STOP_BEFORE_MILLISECONDS / 1000
    elif step == "shard_images":
        threads = sharder.FILE_THREADS
        waits = reads * BATCH_GET_SECONDS / TABLE_THREADS + (files + took.whole("GET")) * FILE_SECONDS / threads
        seconds = LAMBDA_SECONDS - sharder.STOP_BEFORE_MILLISECONDS / 1000
    elif step == "verify_shard":
        waits = reads * BATCH_GET_SECONDS / TABLE_THREADS + (files + took.whole("GET")) * REQUEST_SECONDS
        return (took.whole_cpu_seconds + waits) / 60, took.of
    else:
        waits = took.whole("GET", "PUT", "HEAD") * REQUEST_SECONDS / READ_THREADS
        return (took.whole_cpu_seconds + waits) / 60, 1
    together = took.whole_cpu_seconds + waits
    return together / 60, math.ceil(together / seconds)


def plan_of(case: Case) -> Plan:
    """The plan of such a run."""
    return plan_run(
        Workload(bytes=case.keys * MEAN_BYTES, key_bytes={len(key_of(0)): case.keys}),
        IDENTITY,
        "int8",
        CAPACITY,
        prices=load_prices(),
        throughput=load_throughput(),
    )


def steps_table(measured: dict[Case, dict[str, Took]]) -> str:
    """A row for each step and size."""
    head = [
        "", "images", "really done", "CPU µs an image", "CPU min", "with waits, min", "invocations", "peak MB",
        "state bytes",
    ]  # fmt: skip
    rows = []
    for step, label in LABELS.items():
        for case, took in measured.items():
            part = took[step]
            minutes, rounds = rounds_of(step, part)
            rows.append(
                [
                    label,
                    f"{case.keys:,}",
                    f"{part.done:,} of {part.of:,}",
                    f"{part.whole_cpu_seconds / case.keys * 1e6:.1f}",
                    f"{part.whole_cpu_seconds / 60:,.1f}",
                    f"{minutes:,.1f}",
                    f"{rounds:,}",
                    f"{part.peak_mb:.0f}",
                    f"{part.state_bytes:,}" if part.state_bytes else "",
                ]
            )
    return markdown_table(head, rows)


def run_table(measured: dict[Case, dict[str, Took]]) -> str:
    """A row for each size: what the whole run is, with the plan's jobs, hours and dollars."""
    rows = []
    for case, took in measured.items():
        plan = plan_of(case)
        reads = sum(part.whole("GET", "HEAD") for part in took.values()) - case.keys / 1_000
        writes = sum(part.whole("PUT") for part in took.values()) + case.keys / 1_000 + 2 * case.shards
        planned = s3_gets(listed=case.keys, downloads=0, shards=case.shards), s3_puts(case.keys, case.shards, 0.0)
        hours = [sum(rounds_of(step, took[step])[0] for step in ("list_images", "shard_images")) / 60]
        hours += [_hours(plan.seconds["embed"]), rounds_of("verify_run", took["verify_run"])[0] / 60]
        rows.append(
            [
                f"{case.keys:,}", f"{case.shards:,}", f"{reads:,.0f} ({planned[0]:,})",
                f"{writes:,.0f} ({planned[1]:,})", *(f"{value:.2f}" for value in hours), f"{sum(hours):.1f}",
                f"${plan.cost.total_usd:,.2f}",
            ]
        )  # fmt: skip
    head = [
        "images", "shards", "GET, HEAD of files (planned)", "PUT, LIST (planned)", "list and shard, h", "embed, h",
        "VerifyRun, h", "all, h", "cost",
    ]  # fmt: skip
    return markdown_table(head, rows)


def _hours(seconds: float | str) -> float:
    return float(seconds) / 3600


def main() -> None:
    """Measure, print, and with --record write the section into docs/performance.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=int, nargs="*", help="numbers of images, of those there are")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    measured: dict[Case, dict[str, Took]] = {}
    for case in CASES:
        if options.only is None or case.keys in options.only:
            measured[case] = run_case(case)
    text = "\n\n".join([steps_table(measured), run_table(measured)])
    print(f"\n{text}")
    if options.record:
        write_section("scale", text)


if __name__ == "__main__":
    main()
