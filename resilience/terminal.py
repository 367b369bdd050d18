"""A command in a terminal of its own, which can be closed under it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

_READ_BYTES = 65_536


class Terminal:
    """A process with a pseudo-terminal that it controls. A context manager, which kills it at the end.

    Attributes:
        output: what it has written so far.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.output = ""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_control_terminal,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def signal(self, number: int) -> None:
        """Ctrl-C as the terminal sends it: to all processes of the group. Other signals: to the process alone."""
        with suppress(ProcessLookupError):
            if number == signal.SIGINT:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def close(self) -> None:
        """Close the terminal, as a window does: the kernel sends SIGHUP, and refuses what is written to it."""
        master, self._master = self._master, -1
        if master >= 0:
            # A read that waits would keep it open.
            os.close(master)

    def wait(self, seconds: float) -> int | None:
        """The exit code as a shell gives it, if the process ends within `seconds`."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self.close()

    def _read(self) -> None:
        os.set_blocking(self._master, False)
        while self._master >= 0:
            try:
                data = os.read(self._master, _READ_BYTES)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            except OSError:
                return  # closed, or nobody holds its other end any more
            self.output += data.decode(errors="replace")


def _control_terminal() -> None:
    # What a terminal's shell gives. A shell that runs a script in the background ignores SIGINT, nohup SIGHUP, and
    # children inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
