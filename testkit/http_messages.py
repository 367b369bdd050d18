"""HTTP/1.1 messages as they are on the wire: read whole, passed on byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO, Final

_LINE_BYTES: Final = 65_536
_LAST_CHUNK: Final = b"0"


class BrokenMessageError(Exception):
    """The other side closed the connection in the middle of a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response. `head` ends with the empty line; `body` keeps its chunked framing."""

    head: bytes
    body: bytes

    @property
    def start_line(self) -> str:
        """`GET /bucket/key HTTP/1.1` or `HTTP/1.1 200 OK`."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.start_line.split(" ", 2)[1])

    def header(self, name: str) -> str:
        """The value of a header, "" where it is not there."""
        match = re.search(rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*([^\r]*)\r$", self.head)
        return match[1].decode("latin-1").strip() if match else ""

    @property
    def ends_connection(self) -> bool:
        """Whether the sender closes the connection after it."""
        return self.header("connection").lower() == "close" or "HTTP/1.0" in self.start_line

    def with_body(self, body: bytes) -> Message:
        """This message with another body, its length put right and the checksum of the old one left out."""
        head = re.sub(rb"(?im)^content-length:[^\r]*\r\n", b"", self.head)
        head = re.sub(rb"(?im)^x-amz-crc32:[^\r]*\r\n", b"", head)
        return Message(head[:-2] + b"Content-Length: %d\r\n\r\n" % len(body), body)


def read_head(stream: BinaryIO) -> bytes | None:
    """A message's head; None where the connection ended before it. Raises BrokenMessageError within it."""
    lines: list[bytes] = []
    while True:
        line = stream.readline(_LINE_BYTES)
        if not line and not lines:
            return None
        if not line.endswith(b"\n"):
            raise BrokenMessageError("a head ends in the middle")
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)


def read_request_body(stream: BinaryIO, head: bytes) -> bytes:
    """The body of the request with this head; b"" where the head announces none."""
    message = Message(head, b"")
    if "chunked" in message.header("transfer-encoding").lower():
        return _read_chunks(stream)
    return _read_exactly(stream, int(message.header("content-length") or 0))


def read_response(stream: BinaryIO, method: str) -> Message:
    """The final response to a request of `method`; interim ones (100 Continue) are left out."""
    while True:
        head = read_head(stream)
        if head is None:
            raise BrokenMessageError("there is no response")
        message = Message(head, b"")
        if message.status >= 200:
            break
    if method == "HEAD" or message.status in (204, 304):
        return message
    if "chunked" in message.header("transfer-encoding").lower():
        return Message(head, _read_chunks(stream))
    length = message.header("content-length")
    return Message(head, _read_exactly(stream, int(length)) if length else stream.read())


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    body = stream.read(length) if length else b""
    if len(body) < length:
        raise BrokenMessageError(f"{len(body)} of {length} bytes")
    return body


def _read_chunks(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    while True:
        size_line = stream.readline(_LINE_BYTES)
        size = int(size_line.split(b";")[0].strip() or _LAST_CHUNK, 16)
        parts.append(size_line)
        if size == 0:
            break
        parts.append(_read_exactly(stream, size + 2))
    # Trailers, and the empty line.
    while True:
        line = stream.readline(_LINE_BYTES)
        parts.append(line)
        if line in (b"\r\n", b"\n", b""):
            return b"".join(parts)
