"""What one run of a contender gave, and the medians of several."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.steady import steady_part
from testkit.processes import Usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: images, when they were done, what it used, and what the storage stand-in used meanwhile."""

    images: int
    done: Sequence[tuple[float, int]]
    usage: Usage
    storage_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that embeds images: `run` gives the outcome of so many."""

    name: str
    run: Callable[[int], Outcome]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a table says of a run, or the medians of several.

    The first two are of the steady part, `whole_…` from the process's start to its end. Memory as in Usage.
    """

    images_per_second: float
    cpu_ms: float
    whole_images_per_second: float
    whole_cpu_ms: float
    storage_cpu_ms: float
    shared_peak_mb: float
    peak_mb: float


def figures(outcome: Outcome) -> Figures:
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
