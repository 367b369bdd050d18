"""A few failed images of each reason, with what can be seen of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stepvec.client.deployment import Deployment
from stepvec.client.pictures import from_bucket, pictures
from stepvec.runs.outcome import ImageFailure

SAMPLES: Final = 6
"""Of each reason."""


@dataclass(frozen=True, slots=True)
class FailureSample:
    """A failed image, and a data: URL of what can be seen of it, "" where nothing can."""

    failure: ImageFailure
    picture: str


def failure_samples(deployment: Deployment, failures: Iterable[ImageFailure]) -> Mapping[str, Sequence[FailureSample]]:
    """The first of each reason. An image that cannot be read any more is there without a picture."""
    chosen: defaultdict[str, list[ImageFailure]] = defaultdict(list)
    for failure in failures:
        if len(chosen[failure.reason.value]) < SAMPLES:
            chosen[failure.reason.value].append(failure)
    keys = (failure.key for some in chosen.values() for failure in some)
    seen = pictures(keys, from_bucket(deployment.client, deployment.image_bucket))
    return {
        reason: [FailureSample(failure, seen.get(failure.key, "")) for failure in some]
        for reason, some in chosen.items()
    }
