"""A proxy between our processes and the embedded AWS: passes on byte for byte, or lets a fault have the request.

At this level no client library can tell it from AWS. A proxy of our own, and not one of the libraries that decide by
request alone, since a fault must see both sides: docs/decisions/0065.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Final, NoReturn, Protocol
from urllib.parse import urlsplit

from resilience.faults.calls import Call, read_call
from testkit.http_messages import BrokenMessageError, Message, MessageSocket

_LOGGER: Final = logging.getLogger(__name__)
_SLICE_SECONDS: Final = 0.25


class ConnectionGoneError(Exception):
    """The client's connection was broken, on purpose or by the client."""


class Upstream:
    """A connection to the embedded AWS, opened when it is needed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._messages: MessageSocket | None = None

    def send(self, request: Message) -> Message:
        """The response to `request`."""
        if self._socket is None or self._messages is None:
            self._socket = socket.create_connection(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._messages = MessageSocket(self._socket)
        self._socket.sendall(request.head + request.body)
        response = self._messages.response(request.method)
        if response.ends_connection:
            self.close()
        return response

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._messages = None


class Exchange:
    """One request, and the two connections that it concerns."""

    def __init__(self, call: Call, request: Message, client: socket.socket, upstream: Upstream) -> None:
        self.call = call
        self.request = request
        self._client = client
        self._upstream = upstream
        self.ends_connection = request.ends_connection

    @property
    def method(self) -> str:
        """GET, PUT, POST, HEAD."""
        return self.request.method

    def forward(self, request: Message | None = None) -> Message:
        """What the embedded AWS says to the request, or to another one in its place."""
        return self._upstream.send(request or self.request)

    def forward_apart(self) -> None:
        """Sends the request on a connection of its own, and waits for the answer, which nobody gets."""
        upstream = Upstream(self._upstream._address)
        try:
            upstream.send(self.request)
        except (OSError, BrokenMessageError):
            _LOGGER.debug("a request sent apart broke", exc_info=True)
        finally:
            upstream.close()

    def answer(self, response: Message) -> None:
        """Gives the client a whole response."""
        self.ends_connection |= response.ends_connection
        self._send(response.head + response.body)

    def answer_partly(self, response: Message, body_bytes: int) -> None:
        """Gives the client the head and the first bytes of the body."""
        self._send(response.head + response.body[:body_bytes])

    def answer_slowly(self, response: Message, *, bytes_a_second: int, seconds: float) -> None:
        """Gives the body at `bytes_a_second` for so many seconds, and then the rest at once."""
        self._send(response.head)
        step, sent, end = max(1, int(bytes_a_second * _SLICE_SECONDS)), 0, time.monotonic() + seconds
        while sent < len(response.body) and time.monotonic() < end:
            self._send(response.body[sent : sent + step])
            sent += step
            time.sleep(_SLICE_SECONDS)
        self._send(response.body[sent:])

    def reset(self) -> NoReturn:
        """Breaks the client's connection with a TCP reset."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> NoReturn:
        """Ends the client's connection as a server does that stops in the middle."""
        self._client.close()
        raise ConnectionGoneError

    def _send(self, data: bytes) -> None:
        try:
            self._client.sendall(data)
        except OSError as error:
            raise ConnectionGoneError from error


class Handler(Protocol):
    """Decides what becomes of a request."""

    def handle(self, exchange: Exchange) -> None:
        """Answer the client, or break its connection."""
        ...


class FaultProxy:
    """Listens on a free loopback port until `close`; one thread a connection. Every request goes to `handler`."""

    def __init__(self, upstream_url: str, handler: Handler, role_of: Callable[[str], str]) -> None:
        parts = urlsplit(upstream_url)
        address = (str(parts.hostname), int(parts.port or 80))

        class Connection(BaseRequestHandler):
            def handle(self) -> None:
                _serve(self.request, self.client_address[1], address, handler, role_of)

        self._server = _Server(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="faults", daemon=True
        ).start()

    def close(self) -> None:
        """Stops listening. Open connections end with their clients."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


def _serve(
    client: socket.socket,
    port: int,
    address: tuple[str, int],
    handler: Handler,
    role_of: Callable[[str], str],
) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    upstream = Upstream(address)
    messages = MessageSocket(client)
    try:
        while (request := messages.request()) is not None:
            exchange = Exchange(read_call(request, port, role_of), request, client, upstream)
            handler.handle(exchange)
            if exchange.ends_connection:
                return
    except (ConnectionGoneError, BrokenMessageError, OSError):
        # A process that is killed leaves its connections half open: nothing to show on the terminal.
        _LOGGER.debug("a connection broke", exc_info=True)
    finally:
        upstream.close()
        client.close()
