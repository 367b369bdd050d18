"""CPU time and memory of processes, read from /proc (Linux): of a program's whole run, and over time.

Imports nothing but the standard library, so that every environment has it.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

WATCH_SECONDS: Final = 0.1
WATCHED_PER_MEMORY: Final = 3
"""The kernel walks a process's pages to tell its share of them, which costs it a millisecond or two."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME: Final = 11
"""In /proc/PID/stat, from the field after the command's name on: proc(5), utime and, after it, stime."""
_LAST_LINES: Final = 15

SAMPLE_SECONDS: Final = 1.0
LONG_SECONDS: Final = 45.0
"""A process that lives shorter says nothing of growth: it is still warming up."""
SERVER: Final = "embedded AWS, state machine and proxy"


@dataclass(frozen=True, slots=True)
class ProcessUsage:
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


def run_measured(commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: Path) -> ProcessUsage:
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
    return ProcessUsage(
        tuple(watched.cpu), seconds, cpu_seconds, watched.shared_peak_mb, sum(watched.peaks.values()), outputs
    )


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
        if len(watched.cpu) % WATCHED_PER_MEMORY == 1:
            shared = sum(_megabytes(member, "smaps_rollup", "Pss:") for member in members)
            watched.shared_peak_mb = max(watched.shared_peak_mb, shared)
        time.sleep(WATCH_SECONDS)
    return watched


def tree(process_id: int) -> list[int]:
    """The process and all its descendants that live."""
    members = [process_id]
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in _read(tasks).split():
            members += tree(int(child))
    return members


def cpu_of_tree(process_id: int) -> float:
    """CPU seconds so far of the process and its descendants, those that ended and were waited for included."""
    return sum(_cpu_of(member, with_ended=True) or 0.0 for member in tree(process_id))


def _cpu_of(process_id: int, *, with_ended: bool = False) -> float | None:
    fields = _read(Path(f"/proc/{process_id}/stat")).rpartition(")")[2].split()
    # Behind utime and stime: cutime and cstime, of children that were waited for.
    last = _USER_TIME + (4 if with_ended else 2)
    return sum(map(int, fields[_USER_TIME:last])) / _TICKS if fields else None


def _megabytes(process_id: int, file: str, name: str) -> float:
    """The line `name` of a file of /proc/PID, which is in KiB; 0 where the process has ended."""
    for line in _read(Path(f"/proc/{process_id}/{file}")).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def peak_mb() -> float:
    """MiB of this process's largest resident set so far (proc(5)). Raises RuntimeError where there is no /proc.

    Not getrusage's ru_maxrss: that begins with the size of the process that started this one.
    """
    peak = _megabytes(os.getpid(), "status", "VmHWM:")
    if not peak:
        raise RuntimeError("/proc/self/status has no VmHWM: this needs Linux.")
    return peak


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


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment. `cpu_seconds` since its start."""

    seconds: float
    rss: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class SampledProgress:
    """How many images were done at a moment, and the CPU time of all workers until then."""

    seconds: float
    images: int
    worker_cpu_seconds: float


@dataclass(slots=True)
class Samples:
    """What was seen, by the process's name and id."""

    processes: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)
    progress: list[SampledProgress] = field(default_factory=list)

    def growth(self) -> dict[str, float]:
        """For each name, the greatest ratio of memory at the end of a long process's life to that near its start."""
        ratios: dict[str, float] = {}
        for (name, _), samples in self.processes.items():
            if samples[-1].seconds - samples[0].seconds >= LONG_SECONDS:
                ratios[name] = max(ratios.get(name, 0.0), growth_of([sample.rss for sample in samples]))
        return ratios

    def peak(self) -> dict[str, int]:
        """The most memory of any process of each name, in bytes."""
        peaks: dict[str, int] = {}
        for (name, _), samples in self.processes.items():
            peaks[name] = max(peaks.get(name, 0), max(sample.rss for sample in samples))
        return peaks

    def slowdown(self) -> tuple[float, float]:
        """Wall and workers' CPU time per image near the end over that near the start."""
        return slowdown_of(self.progress)


def growth_of(rss: Sequence[int]) -> float:
    """The median of the last quarter over that of the second: the first is the process's start."""
    quarter = max(1, len(rss) // 4)
    return statistics.median(rss[-quarter:]) / statistics.median(rss[quarter : 2 * quarter] or rss)


def slowdown_of(progress: Sequence[SampledProgress]) -> tuple[float, float]:
    """Wall and CPU time per image between 70 % and 90 % of the images, over those between 10 % and 30 %."""
    if not progress:
        raise ValueError("no progress was seen")
    images = progress[-1].images

    def at(share: float) -> SampledProgress:
        return next(point for point in progress if point.images >= share * images)

    def cost(first: SampledProgress, last: SampledProgress) -> tuple[float, float]:
        done = last.images - first.images
        return (last.seconds - first.seconds) / done, (last.worker_cpu_seconds - first.worker_cpu_seconds) / done

    early, late = cost(at(0.1), at(0.3)), cost(at(0.7), at(0.9))
    return late[0] / early[0], late[1] / early[1]


@contextmanager
def sampled(images_done: Callable[[], int]) -> Iterator[Samples]:
    """Samples this process and all below it, until the block is left. `images_done` counts the rows written."""
    samples = Samples()
    stop = threading.Event()

    def sample() -> None:
        start = time.monotonic()
        while not stop.wait(SAMPLE_SECONDS):
            _sample_once(samples, time.monotonic() - start, images_done())

    thread = threading.Thread(target=sample, name="samples", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _sample_once(samples: Samples, seconds: float, images: int) -> None:
    for member in tree(os.getpid()):
        cpu, mb = _cpu_of(member), _megabytes(member, "status", "VmRSS:")
        if cpu is None or not mb:
            # It ended between being listed and being looked at.
            continue
        name = SERVER if member == os.getpid() else _name(_read(Path(f"/proc/{member}/cmdline")).split("\0")[:-1])
        samples.processes.setdefault((name, member), []).append(Sample(seconds, int(mb * 1024**2), cpu))
    worker_cpu = sum(
        series[-1].cpu_seconds for (name, _), series in samples.processes.items() if name.startswith("worker")
    )
    samples.progress.append(SampledProgress(seconds, images, worker_cpu))


def _name(command: Sequence[str]) -> str:
    """What a process is, by its command: a function's handler, the worker, or a process that the worker made."""
    if "awslambdaric" in command:
        return f"function {command[-1].split('.')[1]}"
    if "stepvec_worker" in command and "--shard" in command:
        return "worker"
    return "worker's child"
