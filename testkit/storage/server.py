"""`python -m testkit.storage.server`: serves until its standard input ends, so that it never outlives its parent."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from testkit.http_messages import CONTINUE, Message, MessageReader, response
from testkit.storage.dynamodb import Tables
from testkit.storage.s3 import Buckets

HOST: Final = "127.0.0.1"
CONTROL: Final = "/-/"
"""Begins the paths that whoever started it asks for; no bucket's name begins with a hyphen."""
SEND_BUFFER_BYTES: Final = 1024 * 1024
"""A whole photo goes to the kernel at once; what does not fit would be copied."""


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
    """Answers each request, whether of S3, of DynamoDB, or of whoever started it, with a response and a delay."""

    def __init__(self, buckets: Buckets, latency: Latency) -> None:
        self._buckets = buckets
        self._latency = latency
        self._tables = Tables(self._stored)
        self._counts = Counts()

    def answer(self, request: Message) -> tuple[bytes, float]:
        """The bytes of the response, and the seconds to wait before they are sent."""
        path = request.path
        if path == "/" and request.method == "POST":
            self._counts.requests[request.header("x-amz-target")] += 1
            return self._tables.answer(request), self._latency.dynamodb
        if path.startswith(CONTROL):
            return self._control(path.removeprefix(CONTROL)), 0.0
        self._counts.requests[request.method] += 1
        return self._buckets.answer(request), self._latency.s3

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


class Connection(asyncio.Protocol):
    """One connection of a client: requests one at a time, kept open."""

    def __init__(self, answer: Callable[[Message], tuple[bytes, float]]) -> None:
        self._answer = answer
        self._reader = MessageReader()
        self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy: a server's transport
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._reader.feed(data)
        if not self._is_waiting:
            self._next_request()

    def _next_request(self) -> None:
        request = self._reader.request()
        if request is None:
            if self._reader.awaits_continue():
                self._transport.write(CONTINUE)
            return
        content, delay = self._answer(request)
        if delay:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(delay, self._send, content)
        else:
            self._send(content)

    def _send(self, content: bytes) -> None:
        self._is_waiting = False
        if self._transport.is_closing():
            return
        self._transport.write(content)
        if not self._reader.is_empty:
            self._next_request()


def _json(body: Any) -> bytes:
    return response("200 OK", json.dumps(body).encode(), b"Content-Type: application/json\r\n")


async def serve(service: Service) -> None:
    """Serve on a free port, print it, and return when standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service.answer), HOST, 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    # Nothing is ever written to it: it can be read only when whoever started this process has closed it, or ended.
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


def main() -> None:
    """Load the photos, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", default="photos", help="bucket of the photos")
    parser.add_argument("--photos", type=Path, help="folder whose files it holds")
    parser.add_argument("--copies", type=int, default=1, help="times that each is there, under names of their own")
    parser.add_argument("--s3-latency", type=float, default=0.0, help="seconds until S3 answers")
    parser.add_argument("--dynamodb-latency", type=float, default=0.0, help="seconds until DynamoDB answers")
    options = parser.parse_args()
    buckets = Buckets()
    if options.photos:
        buckets.load(options.bucket, sorted(options.photos.iterdir()), options.copies)
    # What is loaded stays for good: no collection needs to look at it again.
    gc.freeze()
    asyncio.run(serve(Service(buckets, Latency(options.s3_latency, options.dynamodb_latency))))


if __name__ == "__main__":
    main()
