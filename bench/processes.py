"""Programs run to their end, with the CPU and the memory of all their processes on the way (Linux)."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    included; `peak_mb` is the largest sum of proportional set sizes (a page that two share counts once), in MB.
    """

    cpu: tuple[tuple[float, float], ...]
    seconds: float
    cpu_seconds: float
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
            cpu, peak = _watch(processes)
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
    return Usage(tuple(cpu), seconds, cpu_seconds, peak, outputs)


def _watch(processes: Sequence[subprocess.Popen[bytes]]) -> tuple[list[tuple[float, float]], float]:
    """(time, CPU seconds) samples until all have ended, and the peak of memory in MB."""
    seen: dict[int, float] = {}
    samples: list[tuple[float, float]] = []
    peak = 0.0
    while any(process.poll() is None for process in processes):
        members = [member for process in processes for member in tree(process.pid)]
        # A process that has ended keeps its last value, so that the sum never falls.
        seen.update({member: cpu for member in members if (cpu := _cpu_of(member)) is not None})
        samples.append((time.monotonic(), sum(seen.values())))
        if len(samples) % SAMPLES_PER_MEMORY == 1:
            peak = max(peak, sum(map(_memory_of, members)))
        time.sleep(SAMPLE_SECONDS)
    return samples, peak


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


def _memory_of(process_id: int) -> float:
    for line in _read(Path(f"/proc/{process_id}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
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
