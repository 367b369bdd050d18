"""The server of the embedded AWS, alone."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from localaws.errors import ClosedError
from localaws.patches.server import QuietRequestHandler
from localaws.server import Server


@pytest.mark.parametrize(("error", "logged"), [(ClosedError("closed"), 0), (RuntimeError("a defect"), 1)])
def test_a_request_that_comes_while_it_ends_is_no_news(error: Exception, logged: int, caplog: Any) -> None:
    def application(_: dict[str, Any], __: Any) -> Iterable[bytes]:
        raise error

    server = Server(application, QuietRequestHandler)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 50")
        while connection.recv(4096):
            continue
    server.close()
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == logged
