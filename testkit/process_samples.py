"""Memory and CPU time of our processes over time, and what they say: is memory flat, does work slow down."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psutil

SAMPLE_SECONDS: Final = 1.0
LONG_SECONDS: Final = 45.0
"""A process that lives shorter says nothing of growth: it is still warming up."""
SERVER: Final = "embedded AWS, state machine and proxy"


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment. `cpu_seconds` since its start."""

    seconds: float
    rss: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How many images were done at a moment, and the CPU time of all workers until then."""

    seconds: float
    images: int
    worker_cpu_seconds: float


@dataclass(slots=True)
class Samples:
    """What was seen, by the process's name and id."""

    processes: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)

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


def slowdown_of(progress: Sequence[Progress]) -> tuple[float, float]:
    """Wall and CPU time per image between 70 % and 90 % of the images, over those between 10 % and 30 %."""
    if not progress:
        raise ValueError("no progress was seen")
    images = progress[-1].images

    def at(share: float) -> Progress:
        return next(point for point in progress if point.images >= share * images)

    def cost(first: Progress, last: Progress) -> tuple[float, float]:
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
    this = psutil.Process(os.getpid())
    for process in (this, *this.children(recursive=True)):
        try:
            name = SERVER if process.pid == this.pid else _name(process.cmdline())
            cpu = process.cpu_times()
            sample = Sample(seconds, process.memory_info().rss, cpu.user + cpu.system)
        except psutil.Error:
            # It ended between being listed and being looked at.
            continue
        samples.processes.setdefault((name, process.pid), []).append(sample)
    worker_cpu = sum(
        series[-1].cpu_seconds for (name, _), series in samples.processes.items() if name.startswith("worker")
    )
    samples.progress.append(Progress(seconds, images, worker_cpu))


def _name(command: Sequence[str]) -> str:
    """What a process is, by its command: a function's handler, the worker, or a process that the worker made."""
    if "awslambdaric" in command:
        return f"function {command[-1].split('.')[1]}"
    if "stepvec_worker" in command and "--shard" in command:
        return "worker"
    return "worker's child"
