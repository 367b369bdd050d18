"""The resizing, cropping and turning of `standard-1`.

Reducing the short side to 256 and cutting 224 out of the middle is one step here: the central square of 224/256 of the
short side is made 224 wide, by a triangle filter as wide as the reduction (antialiased; Pillow's BILINEAR). Nothing is
rounded on the way, and the centre stays the centre in every orientation, so the picture is turned when it is small.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image

STANDARD_SIDE: Final = 224
STANDARD_SHORT_SIDE: Final = 256

RgbArray = NDArray[np.uint8]

_GAP: Final = 3.0
"""Larger reductions than this are made by whole numbers first (mean of k x k pixels), down to at least this many times
the final size: what Pillow's reducing_gap does. No decoded JPEG is so large: it was reduced while it was decoded."""

_TRIANGLE: Final = ResizeAlg.convolution(FilterType.bilinear)

_UPRIGHT: Final = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}
"""What undoes each EXIF orientation: quarter turns to the left, then whether left and right change places. 1, and
whatever is not defined, is upright (Exif 2.32, tag 0x0112)."""


def central_square(picture: RgbArray | Image.Image) -> RgbArray:
    """(224, 224, 3): the middle of `picture`, which is (H, W, 3) or a Pillow image in mode RGB, of any size."""
    width, height = picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])
    side = min(width, height) * STANDARD_SIDE / STANDARD_SHORT_SIDE
    left, top = (width - side) / 2, (height - side) / 2
    if isinstance(picture, Image.Image):
        # The square alone leaves Pillow: of a large picture, all of it would be a second copy.
        box = (int(left), int(top), int(np.ceil(left + side)), int(np.ceil(top + side)))
        reduction = max(1, int(side / STANDARD_SIDE / _GAP))
        picture = picture.reduce(reduction, box) if reduction > 1 else picture.crop(box)
        left, top, side = (left - box[0]) / reduction, (top - box[1]) / reduction, side / reduction
        width, pixels = picture.width, picture.tobytes()
        height = picture.height
    else:
        # Whole rows: they are copied in one piece.
        first, last = int(top), int(np.ceil(top + side))
        top, height, pixels = top - first, last - first, picture[first:last].tobytes()
    return _resized(pixels, width, height, CropBox(left, top, side, side))


def _resized(pixels: bytes, width: int, height: int, box: CropBox) -> RgbArray:
    square = ImageData(STANDARD_SIDE, STANDARD_SIDE, PixelType.U8x3)
    options = ResizeOptions(resize_alg=_TRIANGLE, crop_box=box, use_alpha=False)
    # A resizer may not be shared by threads, and costs nothing to make.
    Resizer().resize(ImageData(width, height, PixelType.U8x3, pixels), square, options)
    return np.frombuffer(square.get_buffer(), np.uint8).reshape(STANDARD_SIDE, STANDARD_SIDE, 3)


def upright(square: RgbArray, orientation: int) -> RgbArray:
    """`square` as it was seen when the camera noted this EXIF `orientation`."""
    turns, is_mirrored = _UPRIGHT.get(orientation, (0, False))
    turned = np.rot90(square, turns)
    return np.ascontiguousarray(turned[:, ::-1] if is_mirrored else turned)
