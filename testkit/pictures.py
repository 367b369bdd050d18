"""Small pictures, each of its own: smooth colours by a seed, so that no two have nearly the same vector."""

from __future__ import annotations

import hashlib
import io
from typing import Final

import numpy as np
from PIL import Image

SIZE: Final = (96, 72)
_COARSE: Final = (6, 8, 3)


def picture(number: int, *, size: tuple[int, int] = SIZE) -> bytes:
    """A JPEG of about 1.5 KB, the same one for the same number."""
    pixels = np.random.default_rng(number).integers(0, 256, _COARSE, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def etag_of(data: bytes) -> str:
    """S3's ETag of an object that was put in one part."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
