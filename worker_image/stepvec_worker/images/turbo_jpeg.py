"""JPEGs by libjpeg-turbo's own interface (simplejpeg), to the same pixels as Pillow's, bit for bit, and faster.

Pillow has read the header before: its size was judged, and whatever differs from it here, or is not quite in order,
is Pillow's to decode or to refuse (docs/decisions/0046).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

SCALES: Final = (8, 4, 2)
"""libjpeg-turbo decodes at any M/8 of the size, but only at these fast: 3/8 costs more than 1/2."""

RgbArray = NDArray[np.uint8]


def jpeg_scale(size: tuple[int, int], short_side: int | None) -> int:
    """The largest reduction, 1, 2, 4 or 8, that leaves the short side of `size` at least `short_side` pixels."""
    if short_side is None:
        return 1
    return next((scale for scale in SCALES if min(size) // scale >= short_side), 1)


def decode_jpeg(data: bytes, header: Image.Image, scale: int) -> RgbArray | None:
    """(H, W, 3) RGB at 1/`scale` of the size; None for what Pillow has to decode.

    `header` is the same JPEG, opened by Pillow. A file that is cut off, or has anything in it that libjpeg warns of,
    gives None. So do CMYK and YCCK, which Pillow converts in its own way.
    """
    if header.mode not in ("RGB", "L"):
        return None
    width, height = header.size
    expected = (-(-height // scale), -(-width // scale), 3)
    try:
        found_height, found_width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (found_width, found_height) != header.size:
            return None
        rgb: RgbArray = simplejpeg.decode_jpeg(
            data, "RGB", min_height=expected[0], min_width=expected[1], min_factor=scale
        )
    except ValueError:
        return None
    return rgb if rgb.shape == expected else None
