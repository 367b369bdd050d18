"""HTTP/1.1 for one kind of client: requests with a length, one at a time on a connection that is kept open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
SEND_BUFFER_BYTES: Final = 1024 * 1024
"""A whole photo goes to the kernel at once; what does not fit would be copied."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Names of `headers` are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a response, head and body, and the seconds to wait before they are sent."""

    response: bytes
    delay: float = 0.0


Handler = Callable[[Request], Answer]


def response(status: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    """A response; `headers` are whole lines."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status.encode(), len(body), headers, body)


class HttpConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = bytearray()
        self._head: Request | None = None
        self._length = 0
        self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy: a server's transport
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._buffer += data
        if not self._is_waiting:
            self._next_request()

    def _next_request(self) -> None:
        if self._head is None and not self._read_head():
            return
        head = self._head
        if head is None or len(self._buffer) < self._length:
            return
        body = bytes(memoryview(self._buffer)[: self._length])
        del self._buffer[: self._length]
        self._head = None
        if head.headers.get(b"content-encoding", b"").startswith(b"aws-chunked"):
            body = _without_chunks(body)
        answer = self._handler(Request(head.method, head.path, head.query, head.headers, body))
        if answer.delay:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(answer.delay, self._send, answer.response)
        else:
            self._send(answer.response)

    def _send(self, answer: bytes) -> None:
        self._is_waiting = False
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if self._buffer:
            self._next_request()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        method, target, _ = first.split(b" ", 2)
        path, _, query = target.decode("ascii").partition("?")
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        self._head = Request(method.decode("ascii"), unquote(path) if "%" in path else path, query, headers, b"")
        self._length = int(headers.get(b"content-length", 0))
        if b"chunked" in headers.get(b"transfer-encoding", b""):
            # Nothing here sends it; guessing where such a body ends would mix up requests.
            self._transport.write(response("411 Length Required", headers=b"Connection: close\r\n"))
            self._transport.close()
            self._head = None
            return False
        if headers.get(b"expect") == b"100-continue":
            self._transport.write(CONTINUE)
        return True


def _without_chunks(body: bytes) -> bytes:
    """The content of an aws-chunked body: `length in hex[;signature]\\r\\n content \\r\\n` and so on, until 0.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = body.index(b"\r\n", position)
        length = int(body[position:line_end].split(b";")[0], 16)
        if length == 0:
            return b"".join(parts)
        begin = line_end + 2
        parts.append(body[begin : begin + length])
        position = begin + length + 2
