"""A decoded image to the pixels that a network sees. Each way of doing it has a name that never changes its meaning.

Every architecture gets the same pixels; what it was trained to subtract and divide by is its own
(architectures/normalisation.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import ExifTags, Image

from stepvec.model import Preprocessing
from stepvec_worker.colours import to_rgb
from stepvec_worker.decoding import DecodeLimits, ImageRejected, decode, reject
from stepvec_worker.pixels import PixelFormat, Pixels
from stepvec_worker.sample_geometry import sample_crop

STANDARD_SIDE: Final = 224
STANDARD_SHORT_SIDE: Final = 256
"""standard-1: the short side becomes 256, of which the central 224 x 224 are kept."""

SAMPLE_WIDTH: Final = 224
SAMPLE_HEIGHT: Final = 244
"""sample-1: the original sample passes (224, 244) to a function that takes (width, height)."""

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; 1, and whatever is not defined, is upright (Exif 2.32, tag 0x0112)."""


def pixel_format(preprocessing: Preprocessing) -> PixelFormat:
    """What `preprocess` gives. Floats for sample-1, whose cubic interpolation overshoots 0 and 255."""
    if preprocessing == "sample-1":
        return PixelFormat(SAMPLE_HEIGHT, SAMPLE_WIDTH, "float32")
    return PixelFormat(STANDARD_SIDE, STANDARD_SIDE, "uint8")


def prepare(data: bytes, limits: DecodeLimits, preprocessing: Preprocessing) -> Pixels:
    """The pixels that the network sees, from the bytes of an object.

    `decode` and `preprocess` in one, with the cheapest decoding that the preprocessing allows. Safe to call from
    several threads; most of the time is spent outside the interpreter's lock. Raises ImageRejected, nothing else.
    """
    # Two times the final size keeps what an antialiased reduction can see (measured: tests/worker/test_preprocessing).
    short_side = 2 * STANDARD_SHORT_SIDE if preprocessing == "standard-1" else None
    image = decode(data, limits, short_side=short_side)
    try:
        return preprocess(image, preprocessing)
    except ImageRejected:
        raise
    except Exception as error:  # noqa: BLE001 - conversions of hostile images fail in as many ways as decoding them
        reject(error, data)


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """The pixels of `image` that the network sees, as `pixel_format` says. They may be read-only.

    Raises ImageRejected (Unsupported) for a mode that cannot be made RGB.
    """
    if preprocessing == "sample-1":
        # The sample's own conversion: no EXIF, whatever lies under a transparent pixel, 16 bits clipped.
        rgb = np.asarray(image.convert("RGB"))
        return sample_crop(rgb, SAMPLE_WIDTH, SAMPLE_HEIGHT)
    return np.asarray(_upright_square(image))


def _upright_square(image: Image.Image) -> Image.Image:
    orientation = _orientation(image)
    rgb = to_rgb(image)
    # Reducing to 256 and cropping 224 is one step: the central square of 224/256 of the short side, made 224 wide.
    # It has no rounding of the resized size, and its centre stays the centre in every orientation, so the image is
    # turned after it is small.
    side = min(rgb.size) * STANDARD_SIDE / STANDARD_SHORT_SIDE
    left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
    square = rgb.resize(
        (STANDARD_SIDE, STANDARD_SIDE),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=3.0,
    )
    turn = _UPRIGHT.get(orientation)
    return square if turn is None else square.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none. Read after decoding: Pillow itself turns a TIFF, then drops it."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata of any kind: the picture itself is good
        return 1
    return orientation if isinstance(orientation, int) else 1
