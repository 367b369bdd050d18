"""`python -m testkit.storage.server`: serves until its standard input ends, so that it never outlives the bench."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from testkit.storage.dynamodb import Tables
from testkit.storage.http import Answer, HttpConnection, Request, response
from testkit.storage.s3 import Buckets

HOST: Final = "127.0.0.1"
CONTROL: Final = "/-/"
"""Begins the paths that the bench itself asks for; no bucket's name begins with a hyphen."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds until an answer is sent, as if it came over a network."""

    s3: float = 0.0
    dynamodb: float = 0.0


@dataclass(slots=True)
class Counts:
    """What was asked for since the last reset. Times are of time.monotonic, which all processes share.

    `stored` has an entry for each answer to a write: when it was sent, and the rows in it.
    """

    requests: Counter[str] = field(default_factory=Counter)
    stored: list[tuple[float, int]] = field(default_factory=list)
    cpu_at_reset: float = field(default_factory=time.process_time)


class Service:
    """Answers each request: of S3, of DynamoDB, or of the bench."""

    def __init__(self, buckets: Buckets, latency: Latency) -> None:
        self._buckets = buckets
        self._latency = latency
        self._tables = Tables(self._stored)
        self._counts = Counts()

    def answer(self, request: Request) -> Answer:
        """The response, and when to send it."""
        if request.method == "POST" and request.path == "/":
            self._counts.requests[request.headers.get(b"x-amz-target", b"").decode()] += 1
            return Answer(self._tables.answer(request), self._latency.dynamodb)
        if request.path.startswith(CONTROL):
            return Answer(self._control(request.path.removeprefix(CONTROL)))
        self._counts.requests[request.method] += 1
        return Answer(self._buckets.answer(request), self._latency.s3)

    def _stored(self, rows: int) -> None:
        self._counts.stored.append((time.monotonic() + self._latency.dynamodb, rows))

    def _control(self, what: str) -> bytes:
        command, _, name = what.partition("/")
        if command == "rows":
            return _json(self._tables.rows.get(name, {}))
        if command == "reset":
            self._tables.rows.clear()
            self._counts = Counts()
            return _json({})
        if command == "counts":
            counts = self._counts
            cpu = time.process_time() - counts.cpu_at_reset
            return _json({"requests": counts.requests, "stored": counts.stored, "cpu_seconds": cpu})
        return response("404 Not Found")


def _json(body: Any) -> bytes:
    return response("200 OK", json.dumps(body).encode(), b"Content-Type: application/json\r\n")


async def serve(service: Service) -> None:
    """Serve on a free port, print it, and return when standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(service.answer), HOST, 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    # Nothing is ever written to it: it can be read only when whoever started this process has closed it, or ended.
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


def main() -> None:
    """Load the photos, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", required=True, help="bucket of the photos")
    parser.add_argument("--photos", type=Path, required=True, help="folder whose files it holds")
    parser.add_argument("--copies", type=int, default=1, help="times that each is there, under names of their own")
    parser.add_argument("--s3-latency", type=float, default=0.0, help="seconds until S3 answers")
    parser.add_argument("--dynamodb-latency", type=float, default=0.0, help="seconds until DynamoDB answers")
    options = parser.parse_args()
    buckets = Buckets()
    buckets.load(options.bucket, sorted(options.photos.iterdir()), options.copies)
    # What is loaded stays for good: no collection needs to look at it again.
    gc.freeze()
    asyncio.run(serve(Service(buckets, Latency(options.s3_latency, options.dynamodb_latency))))


if __name__ == "__main__":
    main()
