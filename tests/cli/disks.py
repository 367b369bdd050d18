"""Small, full and read-only disks: memory file systems, mounted for a test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk(folder: Path, *, kilobytes: int, read_only: bool = False) -> Iterator[Path]:
    """A disk of so many kilobytes at `folder`. Skips the test where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "stepvec-test", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        if read_only:
            subprocess.run(["/bin/mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", folder], check=True)
