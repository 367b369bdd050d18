"""An HTTP server for the embedded AWS, on a free loopback port."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from werkzeug.serving import WSGIRequestHandler, make_server

from localaws.errors import ClosedError, LocalCloudError
from localaws.iam.gate import Application, StartResponse

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 128
_SERVICE: Final = re.compile(r"Credential=[^,\s]*/([a-z0-9-]+)/aws4_request")


def by_service(applications: Mapping[str, Application], other: Application) -> Application:
    """Hands each request to the application of the service that it is signed for; to `other` where there is none."""

    def route(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        scope = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        application = applications.get(scope[1], other) if scope else other
        return application(environ, start_response)

    return route


def _until_closed(application: Application) -> Application:
    """Answers 503 to a request that comes while the embedded AWS ends: that is no news, and no traceback."""

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except ClosedError:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []

    return answer


def _bound(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_HOST, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise LocalCloudError(
            f"Port {port} of {_HOST} cannot be listened on: {error.strerror}.",
            remedy="Choose another port, or none for any that is free.",
        ) from error
    return listening


def check_port(port: int) -> None:
    """Raises LocalCloudError where nobody could listen on this port now; 0, for any that is free, always passes."""
    if port:
        _bound(port).close()


class Server:
    """An HTTP server on 127.0.0.1 only, one thread a connection."""

    def __init__(self, application: Application, request_handler: type[WSGIRequestHandler], port: int = 0) -> None:
        """Listens on `port`, any free one if it is 0. Raises LocalCloudError where it cannot."""
        # Bound here: werkzeug ends the process where a port is taken.
        with _bound(port) as listening:
            self._server = make_server(
                _HOST,
                port,
                _until_closed(application),
                threaded=True,
                request_handler=request_handler,
                fd=listening.fileno(),
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="embedded-aws", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{_HOST}:{self.port}"

    def close(self) -> None:
        """Stops listening. Open connections end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
