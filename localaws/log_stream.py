"""Streams the output of a child process into CloudWatch Logs while it runs."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Final, Protocol

_READ_BYTES: Final = 65_536
EVENT_CHARACTERS: Final = 65_536
"""A longer line becomes several events. (CloudWatch Logs takes 262,118 bytes; UTF-8 needs up to 4 a character.)"""


class LogSink(Protocol):
    """CloudWatch Logs, as the processes' output gets there."""

    def create(self, group: str, stream: str) -> None:
        """Makes the group and the stream where they are not there yet."""

    def put(self, group: str, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Appends events. A deleted group or stream swallows them, as the awslogs driver gives up in the end."""


class LogStream:
    """One log stream that lines are appended to.

    Lines that arrive while `may_write()` is False are dropped: the owner's role may not write logs then.
    """

    def __init__(self, sink: LogSink, group: str, name: str, *, may_write: Callable[[], bool] = lambda: True) -> None:
        self.group = group
        self.name = name
        self._sink = sink
        self._may_write = may_write
        self._lock = threading.Lock()
        if may_write():
            sink.create(group, name)

    def append(self, lines: Iterable[str]) -> None:
        """Writes lines as log events of this moment. Empty lines are left out, as CloudWatch Logs takes none."""
        now = int(time.time() * 1000)
        events = [
            {"timestamp": now, "message": line[start : start + EVENT_CHARACTERS]}
            for line in lines
            for start in range(0, len(line), EVENT_CHARACTERS)
        ]
        with self._lock:
            if events and self._may_write():
                self._sink.put(self.group, self.name, events)


class LogPump:
    """Copies a pipe, line by line, to a log stream in a thread of its own, until the pipe ends."""

    def __init__(self, pipe: IO[bytes], stream: LogStream) -> None:
        self._pipe = pipe
        self._stream = stream
        self._partial = b""
        self._tail = b""
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._copy, name=f"logs-{stream.name}", daemon=True)
        self._thread.start()

    def settle(self, seconds: float) -> None:
        """Waits, at most `seconds`, until what the child has written so far is in the log stream."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._thread.is_alive():
            if self._idle.is_set() and _pending_bytes(self._pipe) == 0:
                return
            time.sleep(0.001)

    def join(self, seconds: float) -> None:
        """Waits, at most `seconds`, for the end of the pipe and closes it."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._pipe.close()

    def take_tail(self) -> bytes:
        """The last 4 KB written since the last call, as Lambda's LogType=Tail gives them."""
        tail, self._tail = self._tail, b""
        return tail

    def _copy(self) -> None:
        descriptor = self._pipe.fileno()
        while True:
            self._idle.set()
            chunk = os.read(descriptor, _READ_BYTES)
            self._idle.clear()
            if not chunk:
                break
            self._tail = (self._tail + chunk)[-4096:]
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            self._stream.append(_text(line) for line in lines)
        self._stream.append([_text(self._partial)])


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", errors="replace")


def _pending_bytes(pipe: IO[bytes]) -> int:
    count = struct.unpack("i", fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
    return int(count)
