"""The keeper of a workspace: a process that outlives its owner by as long as clearing up takes.

Started as a script by `localaws.workspace`. Its standard input is a pipe that only the owner can write to, and never
does: the kernel ends it when the owner is gone, however that came about, and not before a child that the owner was
about to start has become the program that it is to be. What is left then is found by its environment, in which the
workspace's path stands (HOME and TMPDIR of functions and jobs), so nothing needs to be registered.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from stepvec.adapters.locks import lock_file
from stepvec.errors import ConfigurationError

GATE: Final = ".lock"
"""In the folder of all workspaces: held while one is made, swept or taken away."""
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PAUSE_SECONDS: Final = 0.02
_GIVE_UP_SECONDS: Final = 10.0


def clear(workspace: Path) -> None:
    """Kill the processes of `workspace` and remove the folder. Returns when both are gone, or after ten seconds."""
    end = time.monotonic() + _GIVE_UP_SECONDS
    # Twice without any: one that was killed may have started another just before.
    clean = 0
    while clean < 2 and time.monotonic() < end:
        found = list(_processes_of(workspace))
        for process in found:
            try:
                process.kill()
            except psutil.Error:
                continue
        clean = 0 if found else clean + 1
        time.sleep(_PAUSE_SECONDS)
    shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def gate(base: Path) -> Iterator[None]:
    """`base`, the folder of all workspaces, made, checked to be ours, and held: one process at a time is in this block.

    Raises ConfigurationError for a folder of somebody else's, OSError where none can be made.
    """
    lock = None
    while lock is None:
        base.mkdir(mode=0o700, exist_ok=True)
        is_ours = base.is_dir() and not base.is_symlink() and base.stat().st_uid == os.getuid()
        if not is_ours or not ((base / GATE).exists() or not any(base.iterdir())):
            raise ConfigurationError(
                f"{base} is there already, and was not made by Stepvec.",
                remedy="Move it away, or set TMPDIR to another folder.",
            )
        with suppress(FileNotFoundError):  # the last workspace has just taken the folder away
            lock = lock_file(base / GATE, wait=True)
    try:
        yield
    finally:
        os.close(lock)


def remove_if_empty(base: Path) -> None:
    """Remove the folder of all workspaces where there are none."""
    if not base.exists():
        return
    with suppress(OSError, ConfigurationError), gate(base):
        if [path.name for path in base.iterdir()] == [GATE]:
            shutil.rmtree(base)


def _processes_of(workspace: Path) -> Iterator[psutil.Process]:
    inside = f"{workspace}{os.sep}"
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
        except (psutil.Error, OSError):
            # Another user's, the system's, or gone by now.
            continue
        if any(environment.get(name, "").startswith(inside) for name in ("HOME", "TMPDIR")):
            yield process


def main(workspace: Path) -> None:
    """Wait for the end of the owner, then clear up after it."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 1):
        pass
    clear(workspace)
    remove_if_empty(workspace.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
