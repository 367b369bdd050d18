"""Locks on files that end with the process that holds them, whatever ends it (flock)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_file(path: Path, *, wait: bool, shared: bool = False) -> int | None:
    """Hold a lock on the file `path`, made where it is not there, and give its descriptor, which is to be closed.

    None where another process holds it and `wait` is False; `shared` locks hold side by side. Whoever holds it may
    remove the file: a lock on a file that was removed meanwhile is not taken for one. Raises OSError.
    """
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
