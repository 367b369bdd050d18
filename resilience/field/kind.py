"""What a kind of input is, and how an image's bytes are met by the worker's own decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from PIL import Image
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare
from stepvec_worker.images.rejection import ImageRejected

from resilience.corpus.encoders import encoded

EMBEDDED: Final = "embedded"
MIN_LIKENESS: Final = 0.97
"""Correlation with the picture's own pixels: a square black or white, upside down or of other colours is far below."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what people have, where somebody told of it, the right outcome, and the real thing that decides."""

    name: str
    source: str
    outcome: str
    meet: Callable[[], str]


@cache
def photo(width: int = 400, height: int = 300) -> Image.Image:
    """A colourful picture without any symmetry: gradients, two discs, some noise."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * x / width, 255 * y / height, 120 + 80 * np.sin(x / 17 + y / 29)], -1)
    for across, down, radius, colour in ((0.25, 0.3, 0.18, (240, 30, 20)), (0.7, 0.65, 0.22, (20, 60, 230))):
        inside = (x - across * width) ** 2 + (y - down * height) ** 2 < (radius * min(width, height)) ** 2
        pixels[inside] = colour
    pixels += np.random.default_rng(1).normal(0, 6, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    """`image`, or the photo, as a JPEG."""
    return encoded(image or photo(), "JPEG", **{"quality": 92, **options})


def pixels_of(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What the network sees. Raises ImageRejected."""
    return np.asarray(prepare(data, DecodeLimits(), "standard-1"), np.float64)


def decoded(name: str, source: str, outcome: str, make: Callable[[], bytes], like: Image.Image | None = None) -> Kind:
    """A kind of file. What is embedded must look as `like` does, or as the photo."""

    def meet() -> str:
        try:
            pixels = pixels_of(make())
        except ImageRejected as rejected:
            return str(rejected.reason)
        expected = pixels_of(encoded((like or photo()).convert("RGB"), "PNG"))
        if not expected.std():
            return EMBEDDED if abs(pixels - expected).max() < 8 else "embedded, as something else"
        likeness = float(np.corrcoef(pixels.ravel(), expected.ravel())[0, 1]) if pixels.std() else 0.0
        return EMBEDDED if likeness >= MIN_LIKENESS else f"embedded, as something else ({likeness:.2f})"

    return Kind(name, source, outcome, meet)
