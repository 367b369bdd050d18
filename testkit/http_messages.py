"""HTTP/1.1 messages as they are on the wire: one reader, for the fault proxy and for the storage stand-in."""

from __future__ import annotations

import re
import socket
from functools import cached_property
from typing import Final
from urllib.parse import unquote

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_END_OF_LINE: Final = b"\r\n"
_RECEIVE_BYTES: Final = 262_144
_WITHOUT_BODY: Final = (204, 304)


class BrokenMessageError(Exception):
    """The other side closed the connection in the middle of a message, or sent what is not HTTP."""


class Message:
    """A request or a response. `head` ends with the empty line; `body` keeps its chunked framing."""

    def __init__(self, head: bytes, body: bytes = b"") -> None:
        self.head = head
        self.body = body

    @cached_property
    def start_line(self) -> str:
        """`GET /bucket/key HTTP/1.1` or `HTTP/1.1 200 OK`."""
        return self.head.split(_END_OF_LINE, 1)[0].decode("latin-1")

    @property
    def status(self) -> int:
        """Of a response. Raises BrokenMessageError for what is not one."""
        status = self.start_line.split(" ", 2)[1:2]
        if not status or not status[0].isdecimal():
            raise BrokenMessageError(f"{self.start_line[:40]!r} is not the first line of a response")
        return int(status[0])

    @property
    def method(self) -> str:
        """Of a request: GET, PUT, POST, HEAD."""
        return self.start_line.split(" ", 1)[0]

    @property
    def path(self) -> str:
        """Of a request, unquoted; bytes that are not UTF-8 as lone surrogates."""
        path = self.start_line.split(" ", 2)[1].partition("?")[0]
        return unquote(path, errors="surrogateescape") if "%" in path else path

    @property
    def query(self) -> str:
        """Of a request, as it was sent."""
        return self.start_line.split(" ", 2)[1].partition("?")[2]

    def header(self, name: str) -> str:
        """The value of a header, whose `name` is in lower case; "" where it is not there."""
        return self._headers.get(name, "")

    @cached_property
    def _headers(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:-2])
        return {name.lower(): value.strip() for name, _, value in lines}

    @property
    def ends_connection(self) -> bool:
        """Whether the sender closes the connection after it."""
        return self.header("connection").lower() == "close" or "HTTP/1.0" in self.start_line

    @property
    def is_chunked(self) -> bool:
        """Whether the body is in chunks."""
        return "chunked" in self.header("transfer-encoding").lower()

    @property
    def content(self) -> bytes:
        """The body without any framing: neither HTTP's chunks nor those of aws-chunked."""
        content = _without_chunks(self.body) if self.is_chunked else self.body
        return _without_chunks(content) if self.header("content-encoding").startswith("aws-chunked") else content

    def with_body(self, body: bytes) -> Message:
        """This message with another body, its length put right and the checksum of the old one left out."""
        head = re.sub(rb"(?im)^content-length:[^\r]*\r\n", b"", self.head)
        head = re.sub(rb"(?im)^x-amz-crc32:[^\r]*\r\n", b"", head)
        return Message(head[:-2] + b"Content-Length: %d\r\n\r\n" % len(body), body)


class MessageReader:
    """Messages out of the bytes of one connection: `feed` it what arrives, and ask for the next message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message: Message | None = None
        self._scanned = 0
        self._is_awaited = False

    def feed(self, data: bytes) -> None:
        """What has arrived."""
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether no part of a message has been fed that was not given out."""
        return not self._buffer and self._message is None

    def request(self) -> Message | None:
        """The next request, once it is whole."""
        if self._message is None and not self._read_head():
            return None
        return self._finished(self._body_length())

    def awaits_continue(self) -> bool:
        """Whether the client waits for CONTINUE before it sends the body at hand. True once for each request."""
        is_awaited, self._is_awaited = self._is_awaited, False
        return is_awaited

    def response(self, method: str, *, is_ended: bool = False) -> Message | None:
        """The final response to a request of `method`, once it is whole; interim ones (100 Continue) are left out.

        A body without a length is whole when the connection `is_ended`.
        """
        while self._message is None or self._message.status < 200:
            self._message = None
            if not self._read_head():
                return None
        message = self._message
        if method == "HEAD" or message.status in _WITHOUT_BODY:
            return self._finished(0)
        if message.is_chunked or message.header("content-length"):
            return self._finished(self._body_length())
        return self._finished(len(self._buffer)) if is_ended else None

    def _read_head(self) -> bool:
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return False
        size = end + len(_END_OF_HEAD)
        self._message = Message(bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._scanned = 0
        self._is_awaited = self._message.header("expect").lower() == "100-continue"
        return True

    def _body_length(self) -> int | None:
        """Bytes of the body at hand; None while its end is not there."""
        message = self._message
        if message is None or not message.is_chunked:
            return int(message.header("content-length") or 0) if message else None
        while (line_end := self._buffer.find(_END_OF_LINE, self._scanned)) >= 0:
            size = _chunk_size(bytes(self._buffer[self._scanned : line_end]))
            if size == 0:
                return self._end_of_trailers(line_end)
            next_chunk = line_end + 2 + size + 2
            if next_chunk > len(self._buffer):
                return None
            self._scanned = next_chunk
        return None

    def _end_of_trailers(self, line_end: int) -> int | None:
        """Where a chunked body ends whose last chunk's line ends at `line_end`: behind the empty line."""
        end = self._buffer.find(_END_OF_HEAD, line_end)
        return None if end < 0 else end + len(_END_OF_HEAD)

    def _finished(self, length: int | None) -> Message | None:
        message = self._message
        if message is None or length is None or len(self._buffer) < length:
            return None
        if length:
            message.body = bytes(memoryview(self._buffer)[:length])
            del self._buffer[:length]
        self._message, self._is_awaited = None, False
        return message


class MessageSocket:
    """The messages of one blocking socket. Raises BrokenMessageError for those that break off."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = MessageReader()

    def request(self) -> Message | None:
        """The next request; None where the client has ended the connection before it."""
        while (request := self._reader.request()) is None:
            if self._reader.awaits_continue():
                self._connection.sendall(CONTINUE)
            if not self._receive():
                if self._reader.is_empty:
                    return None
                raise BrokenMessageError("a request ends in the middle")
        return request

    def response(self, method: str) -> Message:
        """The response to a request of `method`."""
        is_ended = False
        while (response := self._reader.response(method, is_ended=is_ended)) is None:
            if is_ended:
                raise BrokenMessageError("there is no response, or it ends in the middle")
            is_ended = not self._receive()
        return response

    def _receive(self) -> bool:
        data = self._connection.recv(_RECEIVE_BYTES)
        self._reader.feed(data)
        return bool(data)


def response(status: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    """The bytes of a response; `headers` are whole lines."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status.encode(), len(body), headers, body)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError as error:
        raise BrokenMessageError(f"{line[:20]!r} is not the size of a chunk") from error


def _without_chunks(body: bytes) -> bytes:
    """The content of a chunked body: `length in hex[;signature]\\r\\n content \\r\\n` and so on, until 0.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = body.index(_END_OF_LINE, position)
        length = _chunk_size(body[position:line_end])
        if length == 0:
            return b"".join(parts)
        begin = line_end + 2
        parts.append(body[begin : begin + length])
        position = begin + length + 2
