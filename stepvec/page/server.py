"""A page served to this machine alone, and to nobody who has not its address: 127.0.0.1, reading only.

Browsers let any page send requests to 127.0.0.1, and a name that somebody else owns may lead there (DNS rebinding). So
the address has a secret in it, a Host that is not ours is refused, and no answer may be read by another origin.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol, Self

from stepvec import codec
from stepvec.client.thumbnails import MEDIA_TYPE, NOTHING
from stepvec.errors import ConfigurationError
from stepvec.page.album import Album, Groups

HOST: Final = "127.0.0.1"
_HOSTS: Final = (HOST, "localhost")
_IDLE_SECONDS: Final = 30
_PICTURE: Final = re.compile(r"pictures/(\d{1,9})")
_NEAR: Final = re.compile(r"near/(\d{1,9})")
_ORIGINAL: Final = re.compile(r"originals/(\d{1,9})")


class Pictures(Protocol):
    """Where the pictures of a page come from, by their numbers. Both raise IndexError where there is no such one."""

    def thumbnail(self, number: int) -> bytes | None:
        """A small picture of an image; None where nothing of it can be seen."""

    def original(self, number: int) -> str:
        """The address of the image itself, good for a while."""


@dataclass(frozen=True, slots=True)
class ServedPage:
    """The document with the policy that belongs to it, and what it asks for later."""

    document: bytes
    policy: str
    album: Album
    pictures: Pictures


class PageServer:
    """Has a port from the start, any that is free if it is 0; serves a page at `address` for as long as `serve` lasts.

    Raises ConfigurationError where the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._root = f"/{secrets.token_urlsafe(16)}/"
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of {HOST} cannot be listened on: {error.strerror}.",
                remedy="Choose another port, or none for any that is free.",
            ) from error
        self.port = int(self._server.server_address[1])
        self.address: Final = f"http://{HOST}:{self.port}{self._root}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def serve(self, page: ServedPage) -> None:
        """Answer requests until an exception ends it, such as that of a signal, or `end`."""
        self._server.routes = _Answers(page, self._root)
        self._server.serve_forever()

    def end(self) -> None:
        """Have `serve`, in another thread, return."""
        self._server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    routes: _Answers

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A browser that goes away in the middle of an answer is no error; of others the process hears."""
        kind, error, at = sys.exc_info()
        if kind is not None and not isinstance(error, ConnectionError | TimeoutError):
            threading.excepthook(threading.ExceptHookArgs((kind, error, at, threading.current_thread())))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    media_type: str = "text/plain; charset=utf-8"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


_NOT_FOUND: Final = _Answer(HTTPStatus.NOT_FOUND, body=b"There is nothing here. Open the address that was printed.\n")
_KEPT: Final = ("Cache-Control", "private, max-age=3600")


class _Answers:
    """What is answered to a path. Groups of duplicates are looked for once, when they are first asked for."""

    def __init__(self, page: ServedPage, root: str) -> None:
        self._page = page
        self._root = root
        self._groups: Groups | None = None
        self._lock = threading.Lock()
        self._routes: tuple[tuple[re.Pattern[str], Callable[[int], _Answer]], ...] = (
            (_PICTURE, self._picture),
            (_NEAR, self._near),
            (_ORIGINAL, self._original),
        )

    def to(self, path: str) -> _Answer:
        """The answer to a GET of `path`."""
        if not secrets.compare_digest(path[: len(self._root)].encode(), self._root.encode()):
            return _NOT_FOUND
        inner = path[len(self._root) :]
        if not inner:
            headers = (("Content-Security-Policy", f"{self._page.policy}; frame-ancestors 'none'"),)
            return _Answer(HTTPStatus.OK, "text/html; charset=utf-8", self._page.document, headers)
        if inner == "groups":
            return _json(self._found_groups())
        for pattern, answer in self._routes:
            if found := pattern.fullmatch(inner):
                try:
                    return answer(int(found[1]))
                except IndexError:
                    return _NOT_FOUND
        return _NOT_FOUND

    def _picture(self, number: int) -> _Answer:
        picture = self._page.pictures.thumbnail(number)
        # One that cannot be seen is no error, which the browser's console would be full of.
        return _Answer(HTTPStatus.OK, MEDIA_TYPE, NOTHING if picture is None else picture, (_KEPT,))

    def _near(self, number: int) -> _Answer:
        return _json(self._page.album.near(number))

    def _original(self, number: int) -> _Answer:
        return _Answer(HTTPStatus.FOUND, headers=(("Location", self._page.pictures.original(number)),))

    def _found_groups(self) -> Groups:
        with self._lock:
            if self._groups is None:
                self._groups = self._page.album.groups()
            return self._groups


def _json(record: Any) -> _Answer:
    return _Answer(HTTPStatus.OK, "application/json", json.dumps(codec.to_document(record)).encode())


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "stepvec"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        port = self.server.server_port
        if self.headers.get_all("Host") not in [[f"{host}:{port}"] for host in _HOSTS]:
            self._send(_Answer(HTTPStatus.MISDIRECTED_REQUEST, body=b"This is no server of that name.\n"))
            return
        self._send(self.server.routes.to(self.path))

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the address has a secret in it, and standard error is a person's."""

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            **dict(answer.headers),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
