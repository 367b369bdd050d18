"""A few failed images of each reason, with what can be seen of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.client.deployment import Deployment
from stepvec.client.thumbnails import thumbnail
from stepvec.runs.outcome import ImageFailure

SAMPLES: Final = 6
"""Of each reason."""
MAX_BYTES: Final = 20_000_000
"""An object that is larger is not fetched."""
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class FailureSample:
    """A failed image, and a JPEG of what can be seen of it, or None."""

    failure: ImageFailure
    thumbnail: bytes | None


def failure_samples(deployment: Deployment, failures: Iterable[ImageFailure]) -> Mapping[str, Sequence[FailureSample]]:
    """The first of each reason. An image that cannot be read any more is there without a picture."""
    chosen: defaultdict[str, list[ImageFailure]] = defaultdict(list)
    for failure in failures:
        if len(chosen[failure.reason.value]) < SAMPLES:
            chosen[failure.reason.value].append(failure)
    s3 = deployment.client("s3")
    samples: dict[str, list[FailureSample]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for reason, some in chosen.items():
            pictures = pool.map(lambda failure: _picture(s3, deployment.image_bucket, failure.key), some)
            samples[reason] = [FailureSample(failure, seen) for failure, seen in zip(some, pictures, strict=True)]
    return samples


def _picture(s3: Any, bucket: str, key: str) -> bytes | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > MAX_BYTES:
            return None
        return thumbnail(answer["Body"].read())
    except (ClientError, BotoCoreError):
        # Refused, archived or gone: that is often why it failed, and the message says so.
        return None
