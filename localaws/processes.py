"""Child processes of the embedded AWS: their environment, and how they end.

A child sees nothing of the developer's AWS settings or Python path: only what AWS would give it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from localaws.errors import ClosedError
from localaws.iam.credentials import Credentials

STOP_GRACE_SECONDS: Final = 30.0
"""From SIGTERM to SIGKILL, as the ECS agent waits before it kills a container."""

LOCAL_VARIABLES: Final = frozenset(
    {
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PATH",
        "HOME",
        "TMPDIR",
        "TZ",
    }
)
"""What a child gets that AWS does not set: no run here can do without. docs/local.md says why, one by one."""


def local_environment(*, endpoint_url: str, credentials: Credentials, home: Path) -> dict[str, str]:
    """The `LOCAL_VARIABLES`. `home` becomes HOME and TMPDIR: the developer's own holds credentials and settings."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "TZ": "UTC",
    }


class Child:
    """One child process in a process group of its own, its output (stdout and stderr together) in a pipe."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """The reading end of its output."""
        if self._process.stdout is None:
            raise RuntimeError("the child was started without a pipe")
        return self._process.stdout

    @property
    def return_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds` for its end; whether it ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM to the group, then SIGKILL when it still runs after `grace_seconds`."""
        self.signal(signal.SIGTERM)
        self.wait(grace_seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to whatever is left of the group. Returns when the process itself is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group; nothing happens when the group is gone."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


class Children:
    """Every child that runs, so that closing the embedded AWS leaves none behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._closed = False

    def start(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Child:
        """Starts a child and remembers it. Raises ClosedError after `kill_all`, OSError when it cannot start."""
        with self._lock:
            if self._closed:
                raise ClosedError("the embedded AWS is closed")
            child = Child(command, environment=environment, folder=folder)
            self._running.add(child)
            return child

    def ended(self, child: Child) -> None:
        """Kills what is left of the child's group, as a container ends with its first process, and forgets it."""
        child.kill()
        with self._lock:
            self._running.discard(child)

    def kill_all(self) -> None:
        """Kills every group. No child can be started afterwards."""
        with self._lock:
            self._closed = True
            children = list(self._running)
            self._running.clear()
        for child in children:
            child.kill()
