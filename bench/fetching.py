"""CPU time of reading an object from S3: boto3 against what the worker uses, obstore with boto3 behind it.

In the worker's environment: `PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.fetching`. The storage stand-in
is a process of its own, without TLS, whose time is not counted; the images are 100 to 200 KB, read by 8 threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from stepvec_worker.images.fast_get import fast_reader
from stepvec_worker.images.fetching import ImageFetcher

from bench.client_cpu import cpu_milliseconds
from stepvec.adapters.clients import s3_client
from stepvec.runs.listing import ShardImage
from testkit.photos import etag_of
from testkit.storage.client import IMAGE_BUCKET, running_storage
from testkit.tables import markdown_table, write_section

THREADS: Final = 8
SIZES: Final = range(100_000, 200_001, 25_000)
Read = Callable[[ShardImage], Any]


def by_boto3(client: Any) -> Read:
    """What the worker did before: nothing but boto3."""
    return ImageFetcher(client, IMAGE_BUCKET, max_bytes=10**9).fetch


def tuned_boto3() -> Read:
    """boto3 with all that may be switched off."""
    config = Config(
        parameter_validation=False,
        response_checksum_validation="when_required",
        request_checksum_calculation="when_required",
        max_pool_connections=THREADS,
    )
    return by_boto3(boto3.client("s3", config=config))


def by_worker() -> Read:
    """What the worker does."""
    client = s3_client(connections=THREADS)
    return ImageFetcher(client, IMAGE_BUCKET, max_bytes=10**9, fast=fast_reader(client, IMAGE_BUCKET)).fetch


def make_objects(folder: Path) -> list[ShardImage]:
    """Random bytes of each size as files of `folder`, and the images that they are in the stand-in."""
    images = []
    for size in SIZES:
        data = os.urandom(size)
        (folder / f"{size}.jpg").write_bytes(data)
        key = f"photos/0000/{size}.jpg"
        images.append(ShardImage(key, size, etag_of(data), key))
    return images


def main() -> None:
    """Measure, print, and write the section of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=400, help="GETs of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        objects = make_objects(Path(folder))
        with running_storage(Path(folder)) as storage:
            # A session token, as the credentials of a container have.
            os.environ |= storage.environment | {"AWS_SESSION_TOKEN": "t" * 400}
            ways = {
                "the worker: obstore, boto3 behind it": by_worker(),
                "boto3, tuned": tuned_boto3(),
                "boto3": by_boto3(s3_client(connections=THREADS)),
            }
            requests = list(islice(cycle(objects), options.requests))
            # Half a body would be half the work.
            found = cpu_milliseconds(
                ways,
                requests,
                rounds=options.rounds,
                threads=THREADS,
                is_right=lambda fetched: len(fetched.data) >= SIZES[0],
            )
    rows = [[name, f"{statistics.median(times):.2f}"] for name, times in found.items()]
    table = markdown_table(["GET of 150 KB", "CPU ms"], rows)
    print(table)
    if not options.dry:
        write_section("fetching", table)


if __name__ == "__main__":
    main()
