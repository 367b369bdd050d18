"""The resizing, cropping and turning of `standard-1`.

Reducing the short side to 256 and cropping the central 224 is one step here: the central square of 224/256 of the
short side is resized to 224, by a triangle filter as wide as the reduction (antialiased; Pillow's BILINEAR). Nothing is
rounded on the way, and the centre stays the centre in every orientation, so the picture is turned last, when small.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from PIL import Image

from stepvec_worker.images.jpeg import RgbArray
from stepvec_worker.images.resizing import Square, resized

STANDARD_SIDE: Final = 224
STANDARD_SHORT_SIDE: Final = 256

_GAP: Final = 3.0
"""Larger reductions than this begin with one by a whole number (mean of k x k pixels), down to no less than this many
times the final size: what Pillow's reducing_gap does. Few JPEGs need it: they are reduced while they are decoded."""

_UPRIGHT: Final = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}
"""What undoes each EXIF orientation: quarter turns to the left, then whether to mirror left and right. 1, and any
undefined value, is upright (Exif 2.32, tag 0x0112)."""


def central_square(picture: RgbArray | Image.Image) -> RgbArray:
    """(224, 224, 3): the middle of `picture`, which is (H, W, 3) or a Pillow image in mode RGB, of any size."""
    if isinstance(picture, Image.Image):
        return _of_image(picture)
    height, width = picture.shape[:2]
    left, top, side = _square(width, height)
    # Whole rows, which are copied in one piece.
    first, last = _with_margin(top, side, height)
    return resized(picture[first:last], Square(left, top - first, side), STANDARD_SIDE)


def _of_image(image: Image.Image) -> RgbArray:
    left, top, side = _square(*image.size)
    (first_column, last_column), (first_row, last_row) = (
        _with_margin(left, side, image.width),
        _with_margin(top, side, image.height),
    )
    box = (first_column, first_row, last_column, last_row)
    reduction = max(1, int(side / STANDARD_SIDE / _GAP))
    # Only this part leaves Pillow: the whole of a large picture would be a second copy of it.
    part = image.reduce(reduction, box) if reduction > 1 else image.crop(box)
    square = Square((left - first_column) / reduction, (top - first_row) / reduction, side / reduction)
    return resized(part, square, STANDARD_SIDE)


def _square(width: int, height: int) -> tuple[float, float, float]:
    """Left, top and side of the central square that becomes the final picture."""
    side = min(width, height) * STANDARD_SIDE / STANDARD_SHORT_SIDE
    return (width - side) / 2, (height - side) / 2, side


def _with_margin(start: float, side: float, size: int) -> tuple[int, int]:
    """First and last pixel that the square depends on: the filter reaches one final pixel beyond its edges."""
    reach = max(1.0, side / STANDARD_SIDE) + 1
    return max(0, math.floor(start - reach)), min(size, math.ceil(start + side + reach))


def upright(square: RgbArray, orientation: int) -> RgbArray:
    """`square` turned upright, given the EXIF `orientation` that the camera recorded."""
    turns, is_mirrored = _UPRIGHT.get(orientation, (0, False))
    turned = np.rot90(square, turns)
    return np.ascontiguousarray(turned[:, ::-1] if is_mirrored else turned)
