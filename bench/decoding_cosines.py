"""How far vectors move when JPEGs are decoded at a part of their size: cosines by candidate of the least short side."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits, decode, decode_fast
from stepvec_worker.images.jpeg import jpeg_scale
from stepvec_worker.images.preprocessing import pixel_format, preprocess

SHORT_SIDES: Final = (256, 320, 384, 448, 512)
LIMITS: Final = DecodeLimits()


@dataclass
class Cosines:
    """Of the vectors of scaled to those of full decoding, by least short side; photos decoded whole are not in it."""

    photos: int = 0
    by_short_side: dict[int, list[float]] = field(default_factory=lambda: {side: [] for side in SHORT_SIDES})
    different_pixels: int = 0
    """Photos of which Pillow and the fast decoder gave different pixels, at any scale."""


def measure(jpegs: Iterable[bytes], model: Path) -> Cosines:
    """Embeds each JPEG at each scale that some candidate takes."""
    embedder = load_embedder(model, "cpu", pixel_format("standard-1"), batch_size=4)
    result = Cosines()
    for jpeg in jpegs:
        size = Image.open(io.BytesIO(jpeg)).size
        scales = {side: jpeg_scale(size, side) for side in SHORT_SIDES}
        # Of each scale, one short side that gives it.
        sides: dict[int, int | None] = {1: None} | {scale: side for side, scale in scales.items() if scale > 1}
        pixels = [_pixels(jpeg, side, result) for side in sides.values()]
        vectors = dict(zip(sides, _unit(embedder.embed(pixels)), strict=True))
        result.photos += 1
        for side, scale in scales.items():
            if scale > 1:
                result.by_short_side[side].append(float(vectors[1] @ vectors[scale]))
    return result


def _pixels(jpeg: bytes, short_side: int | None, result: Cosines) -> NDArray[np.uint8]:
    fast = decode_fast(jpeg, LIMITS, short_side=short_side)
    if fast.rgb is None:
        raise ValueError("the fast decoder left a good JPEG to Pillow")
    pixels = preprocess(fast.image, "standard-1", rgb=fast.rgb)
    by_pillow = preprocess(decode(jpeg, LIMITS, short_side=short_side), "standard-1")
    result.different_pixels += not np.array_equal(pixels, by_pillow)
    return np.asarray(pixels, np.uint8)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
