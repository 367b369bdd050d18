"""One execution environment of a Lambda function: the official runtime client against our Runtime API."""

from __future__ import annotations

import json
import logging
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from localaws.log_stream import LogPump, LogStream
from localaws.processes import Child

INIT_SECONDS: Final = 10.0
"""What AWS gives the init phase, before the function's own timeout counts."""

StartProcess = Callable[[str], Child]
"""Starts the process, given the address (host:port) of its Runtime API."""

_LOGGER: Final = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.05
_LOG_SETTLE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for the function. `timeout_seconds` counts from when the handler gets it."""

    request_id: str
    event: bytes
    function_arn: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """What an invocation gave: the handler's answer, or an error as AWS words it."""

    payload: bytes
    failed: bool
    reusable: bool
    log_tail: bytes = b""


class ExecutionEnvironment:
    """A process that serves one invocation at a time, and any number of them after each other."""

    def __init__(self, start: StartProcess, log_stream: LogStream) -> None:
        self._api = _RuntimeApi()
        self._log_stream = log_stream
        try:
            self._child = start(self._api.address)
        except BaseException:
            self._api.close()
            raise
        self._pump = LogPump(self._child.output, log_stream)

    @property
    def child(self) -> Child:
        """The process."""
        return self._child

    def invoke(self, invocation: Invocation, *, platform_lines: bool) -> InvocationResult:
        """Runs the handler once. With `platform_lines` the START, END and REPORT lines are logged too."""
        self._pump.take_tail()
        if platform_lines:
            self._log_stream.append([f"START RequestId: {invocation.request_id} Version: $LATEST"])
        started = time.monotonic()
        result = self._run(invocation)
        self._pump.settle(_LOG_SETTLE_SECONDS)
        if platform_lines:
            self._log_end(invocation, result, (time.monotonic() - started) * 1000)
        return InvocationResult(result.payload, result.failed, result.reusable, self._pump.take_tail())

    def close(self) -> None:
        """Kills the process and stops its Runtime API."""
        self._child.kill()
        self._api.close()
        self._pump.join(1)

    def _run(self, invocation: Invocation) -> InvocationResult:
        self._api.offer(invocation)
        end = time.monotonic() + INIT_SECONDS + invocation.timeout_seconds
        began = False
        while True:
            answer = self._api.answer(_POLL_SECONDS)
            if answer is not None:
                return answer
            if not began and self._api.taken_at is not None:
                began = True
                end = self._api.taken_at + invocation.timeout_seconds
            if self._child.return_code is not None:
                # The answer may have been posted just before the process ended.
                return self._api.answer(_POLL_SECONDS) or self._exited(invocation)
            if time.monotonic() > end:
                self._child.kill()
                seconds = f"{invocation.timeout_seconds:.2f}"
                return _error(invocation, "Sandbox.Timedout", f"Task timed out after {seconds} seconds")

    def _exited(self, invocation: Invocation) -> InvocationResult:
        code = self._child.return_code
        if code == 0:
            return _error(invocation, "Runtime.ExitError", "Runtime exited without providing a reason")
        if code is not None and code < 0:
            reason = "killed" if -code == signal.SIGKILL else signal.strsignal(-code) or str(-code)
            detail = f"signal: {reason.lower()}"
        else:
            detail = f"exit status {code}"
        return _error(invocation, "Runtime.ExitError", f"Runtime exited with error: {detail}")

    def _log_end(self, invocation: Invocation, result: InvocationResult, milliseconds: float) -> None:
        lines = [f"END RequestId: {invocation.request_id}"]
        report = f"REPORT RequestId: {invocation.request_id}\tDuration: {milliseconds:.2f} ms"
        if result.failed and not result.reusable:
            report += f"\tStatus: error\t{result.payload.decode(errors='replace')}"
        self._log_stream.append([*lines, report])


def _error(invocation: Invocation, error_type: str, message: str) -> InvocationResult:
    body = {"errorType": error_type, "errorMessage": f"RequestId: {invocation.request_id} Error: {message}"}
    return InvocationResult(json.dumps(body).encode(), failed=True, reusable=False)


class _RuntimeApi:
    """AWS's Lambda Runtime API (2018-06-01) on a loopback port, for one process."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[InvocationResult] = queue.SimpleQueue()
        self.taken_at: float | None = None
        handler = type("_Handler", (_RuntimeApiHandler,), {"api": self})
        self._server = _RuntimeApiServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def offer(self, invocation: Invocation) -> None:
        """The next event for the process."""
        self.taken_at = None
        self._events.put(invocation)

    def take(self) -> Invocation | None:
        """Blocks until there is an event; None when the API is closed."""
        invocation = self._events.get()
        self.taken_at = time.monotonic()
        return invocation

    def post(self, result: InvocationResult) -> None:
        """The process answered."""
        self._answers.put(result)

    def answer(self, seconds: float) -> InvocationResult | None:
        """The answer, when it comes within `seconds`."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Ends the waiting request and stops listening."""
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()


class _RuntimeApiServer(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name, which takes seconds where no name server answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that is killed leaves its connections half open: nothing to show on the terminal."""
        _LOGGER.debug("Runtime API: connection of %s (%s) broke", client_address, request, exc_info=True)


class _RuntimeApiHandler(BaseHTTPRequestHandler):
    api: _RuntimeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Keeps requests off the terminal."""

    def do_GET(self) -> None:
        """/runtime/invocation/next"""
        invocation = self.api.take()
        if invocation is None:
            self._reply(410, b"", {})
            return
        deadline = int((time.time() + invocation.timeout_seconds) * 1000)
        self._reply(
            200,
            invocation.event,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        """/runtime/invocation/<id>/response, /runtime/invocation/<id>/error and /runtime/init/error"""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._reply(202, b"", {})
        initialising = "/runtime/init/" in self.path
        failed = initialising or self.path.endswith("/error")
        self.api.post(InvocationResult(body, failed=failed, reusable=not initialising))

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
