"""Small pictures, made here, and the bytes that files of them have."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.engines.embedder import normalisation
from stepvec_worker.images.preprocessing import PixelFormat

from stepvec.rows.model import Architecture
from tests.golden.seeded import Array

REPOSITORY = Path(__file__).parent.parent.parent
PHOTOS = REPOSITORY.parent / "shared" / "data" / "clothing"


def photos(every: int) -> list[Path]:
    """Each `every`-th of the 800 clothing photos; skips the test where this machine does not have them."""
    found = sorted(PHOTOS.glob("*/*.jpg"))
    if not found:
        pytest.skip("the clothing photos (../shared/data/clothing) are not on this machine")
    return found[::every]


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """An RGB picture without any symmetry: red grows to the right, green downwards, blue is a spot at the top left."""
    x = np.linspace(0, 1, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 1, height)[:, None].repeat(width, 1)
    spot = np.exp(-((x - 0.25) ** 2 + (y - 0.25) ** 2) * 20)
    return Image.fromarray(np.rint(np.stack([x, y, spot], 2) * 255).astype(np.uint8))


def blocks(format_: PixelFormat, count: int) -> list[Array]:
    """Photo-like pictures: blocks of colours, coarse and fine."""
    random = np.random.RandomState(8)
    coarse = (
        random.randint(0, 256, (count, 8, 8, 3)).repeat(-(-format_.height // 8), 1).repeat(-(-format_.width // 8), 2)
    )
    fine = random.normal(0, 20, (count, *format_.shape))
    return list(np.clip(coarse[:, : format_.height, : format_.width] + fine, 0, 255).astype(format_.element))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The bytes of a file of `image`."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def cosines(first: Array, second: Array) -> Array:
    """Row by row."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / norms)


def as_pixels(normalised: Array, architecture: Architecture) -> list[Array]:
    """The pixels, (H, W, 3) float32 each, that `architecture` normalises to these (N, 3, H, W) images."""
    numbers = normalisation(architecture)
    return list(((normalised.transpose(0, 2, 3, 1) - numbers.offset) / numbers.scale).astype(np.float32))
