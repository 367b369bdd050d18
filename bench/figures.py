"""What one run of a contender gave: the steady part of it, without start-up and end, and medians of several runs."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from testkit.processes import ProcessUsage

WINDOW: Final = (0.1, 0.9)
"""From the moment when a tenth of the images is done to the moment when nine tenths are."""

Sample = tuple[float, float]
"""A time and a sum until then."""


@dataclass(frozen=True, slots=True)
class BenchOutcome:
    """One run: images, when they were done, what it used, and what the storage stand-in used meanwhile."""

    images: int
    done: Sequence[tuple[float, int]]
    usage: ProcessUsage
    storage_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that embeds images: `run` gives the outcome of so many."""

    name: str
    run: Callable[[int], BenchOutcome]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a table says of a run, or the medians of several.

    The first two are of the steady part, `whole_…` from the process's start to its end. Memory as in ProcessUsage.
    """

    images_per_second: float
    cpu_ms: float
    whole_images_per_second: float
    whole_cpu_ms: float
    storage_cpu_ms: float
    shared_peak_mb: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Steady:
    """Images done within the window, its seconds, and the CPU seconds of all processes in it."""

    images: float
    seconds: float
    cpu_seconds: float

    @property
    def images_per_second(self) -> float:
        """Images a second of the clock."""
        return self.images / self.seconds

    @property
    def cpu_ms_per_image(self) -> float:
        """CPU milliseconds an image."""
        return 1000 * self.cpu_seconds / self.images


def steady_part(done: Sequence[tuple[float, int]], cpu: Sequence[Sample]) -> Steady:
    """The steady part of a run that had `done` images at those times, and used `cpu` seconds until those.

    Raises ValueError where too little happened to have one.
    """
    in_order = sorted(done)
    sums = list(accumulate(images for _, images in in_order))
    if len(in_order) < 2 or len(cpu) < 2:
        raise ValueError(f"{len(in_order)} results and {len(cpu)} samples are too few for a steady part.")
    first, last = (bisect_left(sums, share * sums[-1]) for share in WINDOW)
    begin, end = in_order[first][0], in_order[last][0]
    if begin >= end:
        raise ValueError("All images were done at one moment.")
    return Steady(sums[last] - sums[first], end - begin, value_at(cpu, end) - value_at(cpu, begin))


def value_at(samples: Sequence[Sample], time: float) -> float:
    """The sum at `time`, on the line between the samples beside it; the nearest one outside of all."""
    position = bisect_left(samples, (time, float("-inf")))
    if position == 0:
        return samples[0][1]
    if position == len(samples):
        return samples[-1][1]
    (before, low), (after, high) = samples[position - 1], samples[position]
    return low + (high - low) * (time - before) / (after - before)


def figures(outcome: BenchOutcome) -> Figures:
    """The figures of one run."""
    steady, usage = steady_part(outcome.done, outcome.usage.cpu), outcome.usage
    return Figures(
        images_per_second=steady.images_per_second,
        cpu_ms=steady.cpu_ms_per_image,
        whole_images_per_second=outcome.images / usage.seconds,
        whole_cpu_ms=1000 * usage.cpu_seconds / outcome.images,
        storage_cpu_ms=1000 * outcome.storage_cpu_seconds / outcome.images,
        shared_peak_mb=usage.shared_peak_mb,
        peak_mb=usage.peak_mb,
    )


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    return Figures(*(statistics.median(getattr(run, name) for run in runs) for name in Figures.__slots__))


def in_turns(
    contenders: Sequence[Contender], images: Mapping[str, int], rounds: int, report: Callable[[str], None]
) -> dict[str, Figures]:
    """Medians by name of `rounds` runs each, A B C A B C ..., so that a busy moment of the machine hits all alike."""
    runs: dict[str, list[Figures]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            found = figures(contender.run(images[contender.name]))
            report(
                f"round {number + 1}: {contender.name}: {found.images_per_second:.1f} images/s, "
                f"{found.cpu_ms:.1f} ms CPU an image, {found.peak_mb:.0f} MB"
            )
            runs[contender.name].append(found)
    return {name: medians(found) for name, found in runs.items()}
