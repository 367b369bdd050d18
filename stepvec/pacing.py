"""How requests are paced: in batches, sent again after a growing, random wait, and how often one asks about a run."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

Element = TypeVar("Element")

FIRST_BACKOFF_SECONDS: Final = 0.05
MAX_BACKOFF_SECONDS: Final = 20.0
MAX_POLL_SECONDS: Final = 15.0
"""The longest pause between two questions about a run that is waited for."""


def batches(elements: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """The elements in lists of `size`; the last may be shorter."""
    iterator = iter(elements)
    while batch := list(islice(iterator, size)):
        yield batch


def backoff_seconds(attempt: int) -> float:
    """Seconds to wait after attempt `attempt`, counted from 0: exponential with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - jitter, no secret
