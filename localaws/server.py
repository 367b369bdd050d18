"""moto's API behind the gate, on a free loopback port."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from localaws.iam.gate import Application

_LOGGER = logging.getLogger(__name__)


class _QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is not typed
    """Logs no request; what goes wrong inside moto still goes to our logger."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Hands werkzeug's messages to `logging`."""
        level = logging.ERROR if type == "error" else logging.DEBUG
        _LOGGER.log(level, message, *args)


class Server:
    """An HTTP server on 127.0.0.1 only, one thread a connection."""

    def __init__(self, guard: Callable[[Application], Application]) -> None:
        application = guard(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietRequestHandler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="embedded-aws", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stops listening. Open connections end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
