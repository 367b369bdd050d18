"""What a page says: the record that its script reads, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from stepvec.page.album import Album, Groups, NearPhotos
from stepvec.runs.outcome import ImageFailure

MOST_FAILURES: Final = 500
"""Failed images that a page shows; failures.jsonl has all of them."""


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """A failed image, and why."""

    key: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed images of a run; `more` are not among them. `said` is what stands above them."""

    said: str
    failures: list[ShownFailure]
    more: int


@dataclass(frozen=True, slots=True)
class Content:
    """All that a page's script shows. A photo is its place in `keys`; a failed image comes after them.

    `pictures` are data: URLs by that number, "" for none; or, as a text, what comes before the number in the address of
    each: those of a folder beside the page, or of the server, and `suffix` after it. `near` and `groups` are None where
    the server is asked for them. `originals`: whether the server knows the way to each whole image.
    """

    title: str
    keys: Sequence[str]
    points: list[list[int]]
    failures: Failures
    pictures: Sequence[str] | str
    suffix: str = ""
    near: list[NearPhotos] | None = None
    groups: Groups | None = None
    originals: bool = False


def shown_failures(said: str, failures: Iterable[ImageFailure]) -> Failures:
    """The first MOST_FAILURES of `failures`, of which the others are counted."""
    rest = iter(failures)
    shown = [
        ShownFailure(failure.key, failure.reason.value, failure.message) for failure in islice(rest, MOST_FAILURES)
    ]
    return Failures(said, shown, sum(1 for _ in rest))


def picture_keys(album: Album, failures: Failures) -> list[str]:
    """The key of each picture of a page, by its number."""
    return [*album.keys, *(failure.key for failure in failures.failures)]
