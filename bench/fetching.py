"""CPU time of reading an object from S3: boto3 against what the worker uses, obstore with boto3 behind it.

In the worker's environment: `PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.fetching`. The server is a
process of its own, without TLS, and its time is not counted; the images are 100 to 200 KB, read by 8 threads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from stepvec_worker.images.fast_get import fast_reader
from stepvec_worker.images.fetching import ImageFetcher

from stepvec.adapters.clients import s3_client
from stepvec.runs.listing import ShardImage
from testkit.report import markdown_table, write_section

THREADS: Final = 8
BUCKET: Final = "images"
ETAG: Final = "0123456789abcdef"
BODIES: Final = tuple(os.urandom(size) for size in range(100_000, 200_001, 25_000))
Read = Callable[[ShardImage], Any]


class S3Protocol(asyncio.Protocol):
    """Answers every request with one of BODIES, with the headers that S3 sends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._buffer = b""
        self._requests = 0

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            _, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            body = BODIES[self._requests % len(BODIES)]
            self._requests += 1
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nx-amz-id-2: 0123456789\r\nx-amz-request-id: 0123456789\r\n"
                b"Date: Wed, 25 Nov 2026 08:00:00 GMT\r\nLast-Modified: Tue, 24 Nov 2026 08:00:00 GMT\r\n"
                b"Accept-Ranges: bytes\r\nContent-Type: image/jpeg\r\nServer: AmazonS3\r\n"
                + f'ETag: "{ETAG}"\r\nContent-Length: {len(body)}\r\n\r\n'.encode()
            )
            self._transport.write(body)


async def serve() -> None:
    """Serve at a free port of 127.0.0.1 and print it."""
    server = await asyncio.get_running_loop().create_server(S3Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """The endpoint of a server in another process."""
    command = [sys.executable, "-m", "bench.fetching", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}" if process.stdout else ""
        finally:
            process.terminate()


def by_boto3(client: Any) -> Read:
    """What the worker did before: nothing but boto3."""
    return ImageFetcher(client, BUCKET, max_bytes=10**9).fetch


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
    return ImageFetcher(client, BUCKET, max_bytes=10**9, fast=fast_reader(client, BUCKET)).fetch


def cpu_milliseconds(ways: dict[str, Read], *, rounds: int, requests: int) -> dict[str, float]:
    """Median CPU ms (user and system, of this process) of a GET by each way, taken in turns."""
    images = [ShardImage(f"photos/2026/{number:08}.jpg", 150_000, ETAG, str(number)) for number in range(requests)]
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with ThreadPoolExecutor(THREADS) as pool:
        for round_ in range(rounds + 1):
            for name, read in ways.items():
                start = time.process_time()
                for fetched in pool.map(read, images):
                    assert len(fetched.data) >= len(BODIES[0])  # noqa: S101 - half a body would be half the work
                if round_:  # the first makes the connections
                    taken[name].append((time.process_time() - start) / requests * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Measure, print, and write the section of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=400, help="GETs of a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with served() as endpoint:
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "t" * 400,
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        ways = {
            "the worker: obstore, boto3 behind it": by_worker(),
            "boto3, tuned": tuned_boto3(),
            "boto3": by_boto3(s3_client(connections=THREADS)),
        }
        found = cpu_milliseconds(ways, rounds=options.rounds, requests=options.requests)
    rows = [[name, f"{value:.2f}"] for name, value in found.items()]
    table = markdown_table(["GET of 150 KB", "CPU ms"], rows)
    print(table)
    write_section("fetching", table)


if __name__ == "__main__":
    main()
