"""What the scripted servers have in common: each connection, with TLS or without, is served in a thread of its own."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest


class ScriptedServer(Protocol):
    """What answers. `url` is where it listens, `connections` how many were made."""

    url: str
    connections: int

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of a connection until it ends."""
        ...


@contextmanager
def running(server: ScriptedServer, tls: ssl.SSLContext | None) -> Iterator[None]:
    """`server` at 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            server.connections += 1
            if tls:
                connection.settimeout(5)
                try:
                    connection = tls.wrap_socket(connection, server_side=True)
                except OSError:
                    continue  # the client does not trust the certificate
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def use_server(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    """Have boto3 ask `server`, with temporary credentials, and read no configuration of this machine's user."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
