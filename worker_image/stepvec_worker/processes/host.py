"""The host that the worker runs on: vCPUs, memory, the age of a process, and the signals to stop.

It is Linux. What macOS has in place of it, for local runs there, was never tried.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

from stepvec.exit_codes import TERMINATED

CGROUP: Final = Path("/sys/fs/cgroup")

MAX_STOP_SECONDS: Final = 12.0
"""When a Spot host shuts down, dockerd gives its containers 15 s from SIGTERM to SIGKILL (`--shutdown-timeout`), half
of what ECS gives (ECS_CONTAINER_STOP_TIMEOUT): https://docs.docker.com/reference/cli/dockerd/."""

_PEAK_MEMORY: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_FIELDS_BEFORE_START_TIME: Final = 19
"""In /proc/PID/stat, counted from the field after the command's name: proc(5), starttime."""
_PR_SET_PDEATHSIG: Final = 1
_PROC: Final = Path("/proc")
_IMPORTED: Final = time.monotonic()
_WATCH_SECONDS: Final = 1.0


def vcpus(setting: int, cgroup: Path = CGROUP) -> int:
    """vCPUs of this container: `setting` unless it is 0, else its CPU quota, else the CPUs it may run on; at least 1.

    On ECS a container has CPU shares but no quota, and sees all the host's CPUs: there the job definition sets it.
    """
    if setting > 0:
        return setting
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(cgroup)
    return max(1, available if quota is None else min(available, round(quota)))


def _cpu_quota(cgroup: Path) -> float | None:
    """CPUs' worth of time that the container may use; None without a limit."""
    # Version 2: "MICROSECONDS PERIOD" or "max PERIOD"; version 1: two files, -1 for none.
    # https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
    version_2, version_1 = _words(cgroup / "cpu.max"), _words(cgroup / "cpu" / "cpu.cfs_quota_us")
    words = version_2 or version_1 + _words(cgroup / "cpu" / "cpu.cfs_period_us")
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


def peak_memory_mb() -> int:
    """MiB of this process's largest resident set so far (proc(5)).

    Not getrusage's ru_maxrss, which on Linux starts at the size of the process that forked this one.
    """
    if not _PROC.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # bytes on macOS
    found = _PEAK_MEMORY.search((_PROC / "self" / "status").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) // 1024 if found else 0


def seconds_since_start(pid: int | None = None) -> float:
    """Seconds since the kernel started process `pid`, or this one: the interpreter's start and imports included.

    Where the kernel does not tell: since this was imported.
    """
    if not _PROC.exists():
        return time.monotonic() - _IMPORTED
    # The command's name stands in parentheses and may hold anything, so what follows its last one counts.
    fields = (_PROC / str(pid or "self") / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started = int(fields[_FIELDS_BEFORE_START_TIME]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which forked it, dies (prctl(2)); where it cannot, watch."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl"):
        threading.Thread(target=_end_after, args=(parent,), name="parent watch", daemon=True).start()
    elif libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        # The parent died before the kernel knew that we want to go with it.
        sys.exit(1)


def _end_after(parent: int) -> None:
    """End this process at once when `parent` is no longer its parent."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


class Termination:
    """Whether the host asked the worker to stop (SIGTERM): what is in hand is finished, nothing new is begun.

    MAX_STOP_SECONDS later the worker ends as it is, whatever it waits for: its processes die with it (`die_with`).
    """

    def __init__(self) -> None:
        self._asked = threading.Event()

    def install(self) -> None:
        """Handle SIGTERM. Must be called in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGALRM, _exit_now)

    @property
    def is_asked(self) -> bool:
        """Whether SIGTERM came."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Do as SIGTERM does."""
        self._asked.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's own signature
        if not self.is_asked:
            signal.setitimer(signal.ITIMER_REAL, MAX_STOP_SECONDS)
        self.ask()


def _exit_now(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's own signature
    os._exit(TERMINATED)
