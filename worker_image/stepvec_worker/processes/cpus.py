"""How many vCPUs the worker has, which is how many embedding processes it starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")


def vcpus(setting: int, cgroup: Path = CGROUP) -> int:
    """vCPUs of this container: `setting` if it is not 0, else its CPU quota, else the CPUs it may run on; at least 1.

    On ECS a container has CPU shares and no quota, and sees all of the host's CPUs: there the job definition says it.
    """
    if setting > 0:
        return setting
    available = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return max(1, available if quota is None else min(available, round(quota)))


def _quota(cgroup: Path) -> float | None:
    """CPUs' worth of time that the container may use; None without a limit."""
    # Version 2: "MICROSECONDS PERIOD" or "max PERIOD"; version 1: two files, -1 for none.
    # https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
    second, first = _words(cgroup / "cpu.max"), _words(cgroup / "cpu" / "cpu.cfs_quota_us")
    words = second or first + _words(cgroup / "cpu" / "cpu.cfs_period_us")
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
