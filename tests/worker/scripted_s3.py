"""A server that answers S3's GET as a test scripts it, down to bytes that break off. It speaks raw HTTP/1.1."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.worker.scripted_server import running

BODY = bytes(range(256)) * 400
ETAG = "0123456789abcdef"
MODIFIED = "Tue, 24 Nov 2026 08:30:00 GMT"

Answer = Callable[[socket.socket], bool]
"""Writes an answer; whether the connection stays open."""


def good(connection: socket.socket) -> bool:
    """The object."""
    connection.sendall(_head() + BODY)
    return True


def error(status: int, code: str) -> Answer:
    """An error as S3 words it."""

    def answer(connection: socket.socket) -> bool:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>scripted</Message></Error>".encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return True

    return answer


def truncated(connection: socket.socket) -> bool:
    """Half of the object, and an orderly end."""
    connection.sendall(_head() + BODY[: len(BODY) // 2])
    return False


def reset(connection: socket.socket) -> bool:
    """Half of the object, and a reset."""
    connection.sendall(_head() + BODY[: len(BODY) // 2])
    time.sleep(0.02)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def silent(connection: socket.socket) -> bool:
    """Half of the object, and nothing for long."""
    connection.sendall(_head() + BODY[: len(BODY) // 2])
    time.sleep(1.5)
    return False


def slow(connection: socket.socket) -> bool:
    """The object, in pieces."""
    connection.sendall(_head())
    for start in range(0, len(BODY), len(BODY) // 5):
        connection.sendall(BODY[start : start + len(BODY) // 5])
        time.sleep(0.02)
    return True


def without_date(connection: socket.socket) -> bool:
    """The object without Last-Modified, which S3 always sends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    return True


def _head() -> bytes:
    return (
        f'HTTP/1.1 200 OK\r\nLast-Modified: {MODIFIED}\r\nETag: "{ETAG}"\r\nContent-Length: {len(BODY)}\r\n\r\n'
    ).encode()


@dataclass
class ScriptedS3:
    """`answers`: what the requests of a target (path) get, one after the other; the last one again and again.

    `requests` are the heads of the requests, `targets` their paths, `connections` how many were made.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    @property
    def targets(self) -> list[str]:
        return [request.split(" ", 2)[1] for request in self.requests]

    def agents(self) -> list[str]:
        """Which client sent each request: "object_store" or "Boto3"."""
        lines = [line for request in self.requests for line in request.split("\r\n")]
        agents = [line.split(": ")[1] for line in lines if line.lower().startswith("user-agent")]
        return [agent.split("/")[0] for agent in agents]

    def serve(self, connection: socket.socket) -> None:
        buffer = b""
        # A client that has enough resets its connection, which is no failure of the test's.
        with suppress(ConnectionError), connection:
            while data := connection.recv(65536):
                buffer += data
                while b"\r\n\r\n" in buffer:
                    head, buffer = buffer.split(b"\r\n\r\n", 1)
                    self.requests.append(head.decode())
                    script = self.answers.get(self.targets[-1], [good])
                    answer = script.pop(0) if len(script) > 1 else script[0]
                    if not answer(connection):
                        return


@contextmanager
def scripted_s3(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedS3]:
    """A running ScriptedS3 at 127.0.0.1."""
    server = ScriptedS3()
    with running(server, tls):
        yield server
