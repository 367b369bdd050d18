"""CPU time of storing a row: boto3's PutItem against what the worker does, boto3's pattern with boto3 behind it.

In the worker's environment: `PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.putting`. The storage stand-in
is a process of its own, without TLS, whose time is not counted; rows have vectors of 512 float32, put by 4 threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import boto3
from botocore.config import Config

from bench.client_cpu import cpu_milliseconds
from stepvec.adapters.clients import credentials, dynamodb_client
from stepvec.adapters.fast_put import FastPut
from stepvec.adapters.vector_table import VectorTable
from stepvec.rows.item import RowMetadata, VectorItem
from testkit.storage.client import TABLE, running_storage
from testkit.tables import markdown_table, write_section

THREADS: Final = 4
NUMBERS: Final = 512
Put = Callable[[VectorItem], RowMetadata | None]


def by_worker() -> Put:
    """What the worker does."""
    client, signed_with = dynamodb_client(THREADS), credentials()
    assert signed_with is not None  # noqa: S101 - for mypy: main sets them
    return VectorTable(client, TABLE, put_item=FastPut(client, signed_with).put_item, threads=1).put


def by_tuned_boto3() -> Put:
    """boto3 with all that may be switched off."""
    return VectorTable(dynamodb_client(THREADS), TABLE, threads=1).put


def by_boto3() -> Put:
    """boto3 as it comes, but for one attempt a request."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=THREADS)
    return VectorTable(boto3.client("dynamodb", config=config), TABLE, threads=1).put


def make_rows(count: int) -> list[VectorItem]:
    """Rows of random numbers, as the worker writes them."""
    now = datetime.now(UTC)
    return [
        VectorItem(
            image_id=f"photos/{number:05}.jpg",
            vector=os.urandom(4 * NUMBERS),
            data_type="float32",
            dimension=NUMBERS,
            created=now,
            key=f"photos/{number:05}.jpg",
            etag=os.urandom(16).hex(),
            model="resnet18_v2/a81db45fd7b7/standard-1",
            run="bench",
            modified=now,
        )
        for number in range(count)
    ]


def main() -> None:
    """Measure, print, and write the section of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=300, help="PutItems of a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    with running_storage() as storage:
        # A session token, as the credentials of a container have.
        os.environ |= storage.environment | {"AWS_SESSION_TOKEN": "t" * 800}
        ways = {
            "the worker: boto3's pattern, boto3 behind it": by_worker(),
            "boto3, tuned (the worker before)": by_tuned_boto3(),
            "boto3": by_boto3(),
        }
        found = cpu_milliseconds(
            ways,
            make_rows(options.rows),
            rounds=options.rounds,
            threads=THREADS,
            is_right=lambda standing: standing is None,
        )
    base = found["boto3, tuned (the worker before)"]
    rows = []
    for name, times in found.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(times, base, strict=True))
        rows.append([name, f"{min(times):.2f}", f"{statistics.median(times):.2f}", f"{ratio:.2f}"])
    table = markdown_table(["PutItem of a row of 2 KB", "CPU ms, least", "median", "of tuned boto3"], rows)
    print(table)
    if not options.dry:
        write_section("putting", table)


if __name__ == "__main__":
    main()
