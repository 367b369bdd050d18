"""Programs run to their end, with the CPU and the memory of all their processes on the way (Linux)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SAMPLE_SECONDS: Final = 0.1
SAMPLES_PER_MEMORY: Final = 3
"""The kernel walks a process's pages to tell its share of them, which costs it a millisecond or two."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME: Final = 11
"""In /proc/PID/stat, from the field after the command's name on: proc(5), utime and, after it, stime."""
_LAST_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Usage:
    """What programs, with all their children, took.

    `cpu` holds (monotonic time, CPU seconds until then); `seconds` and `cpu_seconds` are from start to end, start-up
    included. Memory in MB: `shared_peak_mb` is the largest sum seen of proportional set sizes (a page that two
    processes share counts once), `peak_mb` the sum of the processes' own peaks of resident memory, which misses no peak
    but counts shared pages twice.
    """

    cpu: tuple[tuple[float, float], ...]
    seconds: float
    cpu_seconds: float
    shared_peak_mb: float
    peak_mb: float
    outputs: tuple[str, ...]


def run_measured(commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: Path) -> Usage:
    """Run `commands` at once in `folder`, and wait for all. Raises RuntimeError with the last words of one that fails.

    Nothing else that this process started may end meanwhile: the kernel tells the CPU of all ended children in one sum.
    """
    with tempfile.TemporaryDirectory() as logs:
        files = [Path(logs) / str(number) for number in range(len(commands))]
        before, start = _cpu_of_children(), time.monotonic()
        processes = [
            subprocess.Popen(command, cwd=folder, env=environment, stdout=_create(file), stderr=_create(_errors(file)))
            for command, file in zip(commands, files, strict=True)
        ]
        try:
            watched = _watch(processes)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        seconds, cpu_seconds = time.monotonic() - start, _cpu_of_children() - before
        for process, file in zip(processes, files, strict=True):
            if process.returncode:
                words = (file.read_text() + _errors(file).read_text()).splitlines()[-_LAST_LINES:]
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n" + "\n".join(words))
        outputs = tuple(file.read_text() for file in files)
    return Usage(tuple(watched.cpu), seconds, cpu_seconds, watched.shared_peak_mb, sum(watched.peaks.values()), outputs)


@dataclass(slots=True)
class _Watched:
    """(time, CPU seconds) samples, the peak of the shared memory, and each process's own peak, in MB."""

    cpu: list[tuple[float, float]] = field(default_factory=list)
    shared_peak_mb: float = 0.0
    peaks: dict[int, float] = field(default_factory=dict)


def end_children_on_sigterm() -> None:
    """From now on SIGTERM ends this process in order, as Ctrl-C does, and with it what run_measured has started."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _watch(processes: Sequence[subprocess.Popen[bytes]]) -> _Watched:
    """What the processes and their children take until all have ended."""
    watched = _Watched()
    seen: dict[int, float] = {}
    while any(process.poll() is None for process in processes):
        members = [member for process in processes for member in tree(process.pid)]
        # A process that has ended keeps its last value, so that the sum never falls.
        seen.update({member: cpu for member in members if (cpu := _cpu_of(member)) is not None})
        watched.cpu.append((time.monotonic(), sum(seen.values())))
        watched.peaks.update({member: mb for member in members if (mb := _megabytes(member, "status", "VmHWM:"))})
        if len(watched.cpu) % SAMPLES_PER_MEMORY == 1:
            shared = sum(_megabytes(member, "smaps_rollup", "Pss:") for member in members)
            watched.shared_peak_mb = max(watched.shared_peak_mb, shared)
        time.sleep(SAMPLE_SECONDS)
    return watched


def tree(process_id: int) -> list[int]:
    """The process and all its descendants that live."""
    members = [process_id]
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in _read(tasks).split():
            members += tree(int(child))
    return members


def _cpu_of(process_id: int) -> float | None:
    fields = _read(Path(f"/proc/{process_id}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[_USER_TIME : _USER_TIME + 2])) / _TICKS if fields else None


def _megabytes(process_id: int, file: str, name: str) -> float:
    """The line `name` of a file of /proc/PID, which is in KiB; 0 where the process has ended."""
    for line in _read(Path(f"/proc/{process_id}/{file}")).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def _read(path: Path) -> str:
    """The file's text, "" where its process has ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)


def _errors(path: Path) -> Path:
    return path.with_suffix(".err")
