"""An HTTP server for the embedded AWS, on a free loopback port."""

from __future__ import annotations

import threading

from werkzeug.serving import WSGIRequestHandler, make_server

from localaws.iam.gate import Application


class Server:
    """An HTTP server on 127.0.0.1 only, one thread a connection."""

    def __init__(self, application: Application, request_handler: type[WSGIRequestHandler]) -> None:
        self._server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=request_handler)
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
