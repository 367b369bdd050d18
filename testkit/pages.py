"""Galleries of seeded photos: names that want to be more than names, two that are the same, some that failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from local_pipeline.gallery import write_gallery
from stepvec.rows.item import VectorItem
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import RunCost, RunReport
from testkit.photos import picture

_PICTURES: Final = 40
MODEL: Final = "efficientnet_lite0/ab3352bc3c78/standard-1"
KINDS: Final = ("dress", "hat", "shoes", "skirt")
HOSTILE: Final = "photos/dress/!<img src=x onerror=\"document.title='owned'\"></script><script>alert(1)<!--.jpg"
MESSAGE: Final = "breaks off <b onmouseover=alert(1)>here</b> {{7*7}}"


@dataclass(frozen=True)
class Album:
    """Photos with their vectors, in the order of their keys; the second is a copy of the first."""

    keys: Sequence[str]
    vectors: Any

    def rows(self) -> list[VectorItem]:
        made = datetime(2026, 11, 26, tzinfo=UTC)
        return [
            VectorItem(key, vector.astype("<f4").tobytes(), "float32", len(vector), made, key, f"e-{key}", MODEL, "run")
            for key, vector in zip(self.keys, self.vectors, strict=True)
        ]

    def nearest(self, key: str, count: int) -> list[str]:
        """The keys nearest to that of `key`, by numpy alone."""
        unit = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        cosines = unit @ unit[self.keys.index(key)]
        order = np.argsort(-cosines, kind="stable")
        return [self.keys[row] for row in order if self.keys[row] != key][:count]


def album(photos: int, dimension: int = 48) -> Album:
    keys = sorted([HOSTILE, *(f"photos/{KINDS[number % 4]}/{number:05}.jpg" for number in range(1, photos))])
    random = np.random.default_rng(7)
    centres = random.random((len(KINDS), dimension))
    kinds = [KINDS.index(key.split("/")[1]) for key in keys]
    vectors = centres[kinds] + 0.35 * random.standard_normal((photos, dimension))
    vectors[1] = vectors[0]
    return Album(keys, vectors)


FAILURES: Final = [
    ImageFailure("photos/hat/half.jpg", "x", FailureReason.TRUNCATED, MESSAGE),
    ImageFailure(HOSTILE.replace("dress", "hat"), "y", FailureReason.EMPTY, "no bytes"),
]


def write(
    path: Path, photos: Album, failures: Sequence[ImageFailure] = FAILURES, pictures: Sequence[Path] = ()
) -> Path:
    """The gallery of these photos, each of which is one of `pictures`, or of 40 small ones that are made here."""
    pictures = pictures or [_small(path.parent / f"{seed}.jpg", seed) for seed in range(_PICTURES)]
    files = {key: pictures[number % len(pictures)] for number, key in enumerate(photos.keys)}
    broken = path.parent / "half.jpg"
    broken.write_bytes(picture(1)[:-800])
    write_gallery(
        path,
        photos=files | {failures[0].key: broken} if failures else files,
        rows=photos.rows(),
        report=_report(len(photos.keys)),
        failures=failures,
    )
    return path


def _small(file: Path, seed: int) -> Path:
    file.write_bytes(picture(seed))
    return file


def _report(photos: int) -> RunReport:
    nothing: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(RunReport)}
    said = {"complete": True, "message": "seeded", "model": MODEL, "cost": RunCost({}, {}, 0, ""), "seconds": 4.2}
    return RunReport(**{**nothing, **said, "embedded": photos, "found": photos})
