"""What a run did while it was under way: without start-up, the filling of its queues, and their emptying."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

WINDOW: Final = (0.1, 0.9)
"""From the moment when a tenth of the images is done to the moment when nine tenths are."""

Sample = tuple[float, float]
"""A time and a sum until then."""


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
