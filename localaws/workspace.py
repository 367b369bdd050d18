"""Temporary folders that are gone when their process is, whatever ended it.

A workspace is a folder in `TMPDIR/stepvec-UID/`, which holds nothing else. Its owner holds a lock on it (flock, which
the kernel takes away with the process) and has a keeper (`localaws.keeper`) that clears it. Should the keeper be killed
as well, the next workspace does it: a folder without a lock on it is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Self

from localaws import keeper
from localaws.errors import InstallationError

_KEEPER_SECONDS: Final = 15.0


class Workspace:
    """A folder of this process and of the processes that it starts, which have their HOME or TMPDIR in it.

    A context manager; `close` kills those processes and removes the folder. If this process ends without it, by SIGKILL
    too, the keeper does the same at once.

    Attributes:
        path: the folder, absolute and without links.
    """

    def __init__(self) -> None:
        """Clears what earlier processes left, too. Raises InstallationError where no folder can be made."""
        base = Path(tempfile.gettempdir()).resolve() / f"stepvec-{os.getuid()}"
        self.path = base / f"run-{secrets.token_hex(8)}"
        self._lock: int | None = None
        # The keeper first: from when there is a folder, somebody clears it up.
        readable, self._owner_lives = os.pipe()
        try:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, str(self.path)],
                stdin=readable,
                # Whoever reads our output to its end must not wait for the keeper.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.sep,
                start_new_session=True,
            )
        finally:
            os.close(readable)
        self._closed = False
        try:
            self._make_folder()
        except BaseException:
            self.close()
            raise

    def folder(self, name: str) -> Path:
        """A new folder in it."""
        folder = self.path / name
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Kill the processes that are left and remove the folder."""
        if self._closed:
            return
        self._closed = True
        os.close(self._owner_lives)
        try:
            self._keeper.wait(_KEEPER_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        # Nothing is left to do, unless somebody has killed the keeper.
        if self.path.exists():
            keeper.clear(self.path)
        if self._lock is not None:
            os.close(self._lock)
        keeper.remove_if_empty(self.path.parent)

    def _make_folder(self) -> None:
        base = self.path.parent
        try:
            with keeper.gate(base):
                _sweep(base)
                self.path.mkdir(mode=0o700)
                self._lock = _locked(self.path)
        except OSError as error:
            raise InstallationError(
                f"No temporary folder can be made in {base.parent}: {error.strerror}.",
                remedy="Set TMPDIR to a folder of yours with free space.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(base: Path) -> None:
    """Clear the workspaces whose owner is gone: those that can be locked."""
    for folder in base.iterdir():
        if folder.name == keeper.GATE:
            continue
        try:
            lock = _locked(folder)
        except OSError:
            continue  # in use, or gone by now
        try:
            keeper.clear(folder)
        finally:
            os.close(lock)
