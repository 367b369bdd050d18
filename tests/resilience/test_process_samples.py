"""Whether memory grows and work slows down, by samples whose answer is known."""

from __future__ import annotations

import pytest

from testkit.photos import etag_of, small_photos
from testkit.processes import LONG_SECONDS, Sample, SampledProgress, Samples, growth_of, slowdown_of


def test_a_start_that_grows_and_then_stays_is_flat_and_a_leak_is_not() -> None:
    start = [100 * step for step in range(1, 11)]
    assert growth_of([*start, *[1000] * 30]) == 1.0
    assert growth_of([*start, *[1000 + 20 * step for step in range(30)]]) == pytest.approx(1.44, abs=0.1)


def test_only_long_lived_processes_say_something_of_growth() -> None:
    def series(rss: list[int], seconds: float) -> list[Sample]:
        return [Sample(position * seconds / (len(rss) - 1), size, 0.0) for position, size in enumerate(rss)]

    samples = Samples(
        {
            ("worker", 1): series([10, 10, 10, 10], LONG_SECONDS),
            ("worker", 2): series([10, 10, 10, 12], LONG_SECONDS),
            ("short", 3): series([10, 10, 10, 90], LONG_SECONDS / 2),
        }
    )
    assert samples.growth() == {"worker": 1.2}
    assert samples.peak() == {"worker": 12, "short": 90}


def test_time_per_image_is_compared_between_start_and_end() -> None:
    steady = [SampledProgress(0.1 * images, images, 0.2 * images) for images in range(0, 1001, 10)]
    assert slowdown_of(steady) == pytest.approx((1.0, 1.0))
    late = [
        SampledProgress(0.1 * images + 0.1 * max(0, images - 500), images, 0.2 * images)
        for images in range(0, 1001, 10)
    ]
    assert slowdown_of(late) == pytest.approx((2.0, 1.0))


def test_small_photos_are_all_different_and_the_same_for_a_seed(clothing: object) -> None:
    photos = list(small_photos(50, seed=3))
    assert len({etag_of(data) for data in photos}) == 50
    assert list(small_photos(50, seed=3)) == photos
