"""A server that answers DynamoDB's requests as the storage stand-in does, or as a test scripts it."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from testkit.http_messages import Message, MessageSocket, response
from testkit.storage.dynamodb import Tables
from tests.worker.scripted_server import running

Answer = Callable[[socket.socket, bytes], bool]
"""Writes an answer, given the right one, whose request is done; whether the connection stays open."""


def good(connection: socket.socket, answer: bytes) -> bool:
    """The right answer."""
    connection.sendall(answer)
    return True


def good_and_closed(connection: socket.socket, answer: bytes) -> bool:
    """The right answer, and the connection is closed without a word."""
    connection.sendall(answer)
    return False


def good_and_last(connection: socket.socket, answer: bytes) -> bool:
    """The right answer, which says that the connection ends."""
    connection.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    return False


def in_chunks(connection: socket.socket, answer: bytes) -> bool:
    """The right answer, its body in chunks."""
    body = answer.partition(b"\r\n\r\n")[2]
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    return True


def lost(connection: socket.socket, answer: bytes) -> bool:
    """The row is stored, and the connection is reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def cut(connection: socket.socket, answer: bytes) -> bool:
    """The row is stored, and the answer breaks off in its head."""
    connection.sendall(answer[:30])
    return False


def garbled(connection: socket.socket, answer: bytes) -> bool:
    """The row is stored, and the answer is of other bytes than its checksum."""
    connection.sendall(answer.replace(b"\r\nx-amz-crc32: ", b"\r\nx-amz-crc32: 1"))
    return True


def silent(connection: socket.socket, answer: bytes) -> bool:
    """The row is stored, and nothing comes for long."""
    time.sleep(1.0)
    return False


def error(status: int, code: str, **more: Any) -> Answer:
    """An error as DynamoDB words it."""

    def answer(connection: socket.socket, _: bytes) -> bool:
        document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "scripted", **more}
        body = json.dumps(document).encode()
        head = f"Content-Type: application/x-amz-json-1.0\r\nx-amz-crc32: {zlib.crc32(body)}\r\n"
        connection.sendall(response(f"{status} X", body, head.encode()))
        return True

    return answer


@dataclass
class ScriptedDynamoDb:
    """`script`: the answers to the next requests, after which all are good. `requests` are those that came.

    `connections` is how many were made, `ended` how many are closed. An error is answered in place of storing the row,
    all else after it.
    """

    script: list[Answer] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    url: str = ""
    tables: Tables = field(default_factory=lambda: Tables(lambda rows: None))

    def rows(self) -> dict[str, Any]:
        return self.tables.rows.get("t", {})

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            messages = MessageSocket(connection)
            while (request := messages.request()) is not None:
                self.requests.append(request)
                answer = self.script.pop(0) if self.script else good
                is_error = answer.__qualname__.startswith("error.")
                if not answer(connection, b"" if is_error else self.tables.answer(request)):
                    break
        self.ended += 1


@contextmanager
def scripted_dynamodb(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedDynamoDb]:
    """A running ScriptedDynamoDb at 127.0.0.1."""
    server = ScriptedDynamoDb()
    with running(server, tls):
        yield server
