"""A part of a picture, resized to a square by a triangle filter as wide as the reduction: by one of two libraries.

Both compute it as Pillow's BILINEAR does, in two passes with 8 bits between them, columns first; of a hundred numbers
at most one differs, by 1 (tests/worker/test_resizing.py). On x86-64 it is cykooz-resizer, whose vector instructions
take a fraction of the time; there are no wheels of it for ARM, where it is Pillow (docs/decisions/0132).
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from stepvec.rows.processors import Processor, processor_of
from stepvec_worker.images.jpeg import RgbArray


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a picture in its pixels, which may begin and end between two of them."""

    left: float
    top: float
    side: float


_TRIANGLE: Final = Image.Resampling.BILINEAR
Resizing = Callable[[RgbArray | Image.Image, Square, int], RgbArray]


def resized(picture: RgbArray | Image.Image, square: Square, side: int) -> RgbArray:
    """(side, side, 3): `square` of `picture`, which is (H, W, 3) or a Pillow image in mode RGB. It may be read-only."""
    return _RESIZING(picture, square, side)


def by_cykooz(picture: RgbArray | Image.Image, square: Square, side: int) -> RgbArray:
    """`resized`, by cykooz-resizer."""
    # Imported here: it is not there on ARM.
    from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

    width, height = picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])
    options = ResizeOptions(
        resize_alg=ResizeAlg.convolution(FilterType.bilinear),
        crop_box=CropBox(square.left, square.top, square.side, square.side),
        use_alpha=False,
    )
    target = ImageData(side, side, PixelType.U8x3)
    # A resizer must not be shared by threads, and costs nothing to make.
    Resizer().resize(ImageData(width, height, PixelType.U8x3, picture.tobytes()), target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(side, side, 3)


def by_pillow(picture: RgbArray | Image.Image, square: Square, side: int) -> RgbArray:
    """`resized`, by Pillow."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    # The sum of two such numbers may lie a rounding beyond the edge, which Pillow refuses.
    right, bottom = min(square.left + square.side, image.width), min(square.top + square.side, image.height)
    # Columns first, as cykooz-resizer does: in one call Pillow begins with the rows, and rounds others of ten pixels.
    narrow = image.resize((image.width, side), _TRIANGLE, (0, square.top, image.width, bottom))
    return np.asarray(narrow.resize((side, side), _TRIANGLE, (square.left, 0, right, side)))


RESIZINGS: Final[dict[Processor, Resizing]] = {"x86_64": by_cykooz, "arm64": by_pillow}
_RESIZING: Final = RESIZINGS[processor_of(platform.machine())]
