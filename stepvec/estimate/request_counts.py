"""How many requests, invocations and transitions a run makes, given its numbers of images and shards.

Plans take everything from here, reports only what is not counted during the run.
"""

from __future__ import annotations

import math
from typing import Final

from stepvec.estimate.capacity import Capacity, StepThroughput
from stepvec.limits import BATCH_GET_ITEMS, LIST_PAGE_KEYS
from stepvec.metrics import MAX_RUN_METRICS
from stepvec.pacing import MAX_POLL_SECONDS
from stepvec.rows.indexed import VECTORS_A_PUT
from stepvec.runs.listing import CHUNKS_A_LOOK, LISTING_FILE_LINES
from stepvec.runs.reports import PROGRESS_SECONDS

FUNCTION_MEMORY_MB: Final = 1_769
"""One full vCPU. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
FUNCTION_SECONDS: Final = 840
"""An invocation of ListImages or ShardImages ends shortly before its 900 seconds are over."""

TRANSITIONS_OF_A_RUN: Final = 12
"""States that an execution enters besides listing and sharding, start and end included."""
TRANSITIONS_OF_A_ROUND: Final = 2
"""The function and the Choice after it."""
TRANSITIONS_OF_A_SHARD: Final = 6
"""States that the child execution of one shard enters, start and end included."""

PUTS_OF_A_FILE: Final = 4
"""The listing file, its leftovers, its resolved images, and a partition of it."""
GETS_OF_A_FILE: Final = 5
"""The listing file twice, the partition, its leftovers, its resolved images."""
PUTS_OF_A_SHARD: Final = 4
"""Shard file, the worker's first progress and report, VerifyShard's counts."""
GETS_OF_A_SHARD: Final = 12
"""Input, shard and report by worker and VerifyShard; two files by VerifyRun, each with a HEAD first."""
REQUESTS_OF_A_RUN: Final = 8
"""Start, input, shards.json, failures.jsonl, report.json: written once, read once or twice."""

SHARDING_READ_UNITS: Final = 0.5
"""ShardImages looks up each listed image's row, eventually consistent, unless the table is empty.

A missing row costs as much as a small one.
"""
EMPTY_TABLE_READ_UNITS: Final = 1.0
"""For each listing file ShardImages asks whether the table has any row."""
WORKER_READ_UNITS: Final = 0.5
"""Of an image that the worker looks up, eventually consistent: `worker_read_units` says how many those are."""
VERIFY_READ_UNITS: Final = 0.5
"""VerifyShard reads each row, eventually consistent, for each started 4 KB.

What it does not find, or finds wrong, it reads again, strongly consistent: a few rows of a run that goes well.
"""

HTTP_SECONDS: Final = 0.1
"""Of StartByHttp, a request; estimated."""
HTTP_LOG_BYTES: Final = 1_200
"""Of a request: its line in the access log, the function's own, and Lambda's; estimated."""

LOG_BYTES_OF_A_SHARD: Final = 16_000
"""Estimated: some twenty JSON lines of the worker and VerifyShard, and Lambda's own."""
LOG_BYTES_OF_A_RUN: Final = 32_000


def _rounds(listed: int, keys_per_second: float) -> int:
    """Invocations of ListImages or ShardImages, each as long as a function may run."""
    return max(1, math.ceil(listed / keys_per_second / FUNCTION_SECONDS))


def _all_rounds(listed: int, steps: StepThroughput) -> int:
    return _rounds(listed, steps.list_keys_per_second) + _rounds(listed, steps.shard_keys_per_second)


def state_transitions(listed: int, shards: int, steps: StepThroughput) -> int:
    """Transitions of the execution and its children, without retries."""
    return TRANSITIONS_OF_A_RUN + _all_rounds(listed, steps) * TRANSITIONS_OF_A_ROUND + shards * TRANSITIONS_OF_A_SHARD


def lambda_requests(listed: int, shards: int, steps: StepThroughput) -> int:
    """Invocations of functions: those of listing and sharding, one per shard, one per run."""
    return _all_rounds(listed, steps) + shards + 1


def function_seconds(listed: int, embedded: int, shards: int, steps: StepThroughput) -> float:
    """Total seconds of all functions, cold starts included."""
    return (
        listed / steps.list_keys_per_second
        + listed / steps.shard_keys_per_second
        + embedded / steps.verify_rows_per_second
        + lambda_requests(listed, shards, steps) * steps.function_start_seconds
    )


def s3_gets(*, listed: int, downloads: int, shards: int) -> int:
    """GET and HEAD requests."""
    files = math.ceil(listed / LISTING_FILE_LINES)
    return downloads + files * GETS_OF_A_FILE + shards * GETS_OF_A_SHARD + REQUESTS_OF_A_RUN


def s3_puts(listed: int, shards: int, job_seconds: float | None) -> int | None:
    """PUT and LIST requests; `job_seconds` is the total of all jobs, and None if unknown, as is the result then."""
    if job_seconds is None:
        return None
    pages, files = math.ceil(listed / LIST_PAGE_KEYS), math.ceil(listed / LISTING_FILE_LINES)
    progress = math.ceil(job_seconds / PROGRESS_SECONDS)
    return pages + files * PUTS_OF_A_FILE + shards * PUTS_OF_A_SHARD + progress + REQUESTS_OF_A_RUN


def sharding_read_units(listed: int) -> float:
    """What ShardImages reads of a table without rows."""
    return math.ceil(listed / LISTING_FILE_LINES) * EMPTY_TABLE_READ_UNITS


def worker_read_units(images: int, shards: int) -> float:
    """What first attempts read in all: in each shard one chunk of CHUNKS_A_LOOK, and none of them holds a row."""
    if not shards:
        return 0.0
    a_shard = math.ceil(images / shards)
    looks = math.ceil(a_shard / (BATCH_GET_ITEMS * CHUNKS_A_LOOK))
    return shards * min(a_shard, looks * BATCH_GET_ITEMS) * WORKER_READ_UNITS


def http_requests(run_seconds: float) -> int:
    """Requests of whoever starts a run by HTTP, asks for its status until it ends, and for its report.

    As `stepvec run --http --wait` asks, at its longest pauses.
    """
    return 2 + math.ceil(run_seconds / MAX_POLL_SECONDS)


def index_puts(images: int, shards: int) -> int:
    """PutVectors requests of jobs that put so many vectors: full ones, and what is left at the end of each shard."""
    return math.ceil(images / VECTORS_A_PUT) + shards


def start_vcpu_seconds(*, shards: int, capacity: Capacity, steps: StepThroughput) -> float:
    """vCPU-seconds of idle instances before and after their jobs: each vCPU of a run is started once."""
    return min(shards, capacity.jobs) * capacity.vcpus_per_job * steps.instance_start_seconds


def lambda_gb_seconds(seconds: float) -> float:
    """GB-seconds of functions that ran for `seconds` in total."""
    return seconds * FUNCTION_MEMORY_MB / 1024


def log_gb(shards: int) -> float:
    """GB of logs."""
    return (LOG_BYTES_OF_A_RUN + shards * LOG_BYTES_OF_A_SHARD) / 1e9


def metric_hours(run_seconds: float) -> float:
    """Hours of all custom metrics, added up: each started hour is charged."""
    return MAX_RUN_METRICS * float(math.floor(run_seconds / 3600) + 1)
