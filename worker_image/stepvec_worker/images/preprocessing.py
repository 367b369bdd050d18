"""A decoded image to the pixels that a network sees. Each way of doing it has a name that never changes its meaning.

Each of our own architectures gets the same pixels; what it was trained to subtract and divide by is its own matter
(engines/embedder.py). An encoder of a user's own has its recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from stepvec.rows.encoder import Recipe
from stepvec.rows.item import one_of
from stepvec.rows.model import PREPROCESSINGS, ModelCard, Preprocessing
from stepvec_worker.images.colours import to_rgb
from stepvec_worker.images.decoding import DecodeLimits, decode_fast
from stepvec_worker.images.jpeg import RgbArray
from stepvec_worker.images.recipe_geometry import framed
from stepvec_worker.images.rejection import ImageRejected, rejection
from stepvec_worker.images.sample_geometry import sample_crop
from stepvec_worker.images.standard_geometry import STANDARD_SIDE, central_square, upright
from stepvec_worker.images.uniform import is_uniform

DECODED_SHORT_SIDE: Final = 2 * STANDARD_SIDE
"""standard-1: JPEGs are decoded at 1/2, 1/4 or 1/8 of their size while their short side keeps this many pixels.

The vectors stay those of the full decode: bench/decoding.py has the cosines (docs/decisions/0046).
"""

SAMPLE_WIDTH: Final = 224
SAMPLE_HEIGHT: Final = 244
"""sample-1: the original sample passes (224, 244) to a function that takes (width, height)."""

Pixels = NDArray[np.uint8] | NDArray[np.float32]
"""RGB, (height, width, 3), 0..255, not normalised: what the network was trained to subtract is its own matter."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Height, width and element type of every image that a preprocessing returns."""

    height: int
    width: int
    element: Literal["uint8", "float32"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image."""
        return self.height, self.width, 3


@dataclass(frozen=True, slots=True)
class Picture:
    """What the network sees of an image, and whether all its pixels, as decoded, have one colour."""

    pixels: Pixels
    is_uniform: bool


Preparation = Preprocessing | Recipe
"""One of ours, by its name, or the recipe of an encoder of a user's own."""


def preparation(card: ModelCard, preprocessing: str) -> Preparation:
    """How images are prepared for the model of `card`; `preprocessing` is what the model's name says of it."""
    return one_of(PREPROCESSINGS, preprocessing, "Preprocessing") if card.encoder is None else card.encoder.recipe


def pixel_format(preprocessing: Preparation) -> PixelFormat:
    """What `preprocess` returns. Floats for sample-1, whose cubic interpolation overshoots 0 and 255."""
    if isinstance(preprocessing, Recipe):
        return PixelFormat(*preprocessing.size, "uint8")
    if preprocessing == "sample-1":
        return PixelFormat(SAMPLE_HEIGHT, SAMPLE_WIDTH, "float32")
    return PixelFormat(STANDARD_SIDE, STANDARD_SIDE, "uint8")


def prepare(data: bytes, limits: DecodeLimits, preprocessing: Preparation) -> Pixels:
    """The pixels that the network sees, from the bytes of an object. Otherwise as `prepare_picture`."""
    return prepare_picture(data, limits, preprocessing).pixels


def prepare_picture(data: bytes, limits: DecodeLimits, preprocessing: Preparation) -> Picture:
    """What the network sees, from the bytes of an object.

    `decode` and `preprocess` in one, with the cheapest decoding that the preprocessing allows. Safe to call from
    several threads; most of the time is spent outside the interpreter's lock. Raises ImageRejected, nothing else.
    """
    decoded = decode_fast(data, limits, short_side=DECODED_SHORT_SIDE if preprocessing == "standard-1" else None)
    try:
        whole = _in_rgb(decoded.image, preprocessing) if decoded.rgb is None else decoded.rgb
        pixels = _framed(whole, decoded.image, preprocessing)
        return Picture(pixels, is_uniform(pixels, whole))
    except ImageRejected:
        raise
    except Exception as error:
        raise rejection(error, data) from error


def preprocess(image: Image.Image, preprocessing: Preparation, *, rgb: RgbArray | None = None) -> Pixels:
    """The pixels of `image` that the network sees, as `pixel_format` says. They may be read-only.

    `rgb`, (H, W, 3), are its pixels if they are decoded already: `image` then need not be loaded. Raises
    ImageRejected (Unsupported) for a mode that cannot be converted to RGB.
    """
    return _framed(_in_rgb(image, preprocessing) if rgb is None else rgb, image, preprocessing)


def _in_rgb(image: Image.Image, preprocessing: Preparation) -> Image.Image:
    if preprocessing == "sample-1":
        # The sample's own conversion: whatever lies under a transparent pixel, 16 bits clipped.
        # An image that is RGB already is not converted: convert() would copy it.
        return image if image.mode == "RGB" else image.convert("RGB")
    return to_rgb(image)


def _framed(whole: RgbArray | Image.Image, image: Image.Image, preprocessing: Preparation) -> Pixels:
    """`whole` cut and resized; `image` has the orientation, of which the original sample knew nothing."""
    if preprocessing == "sample-1":
        return sample_crop(np.asarray(whole), SAMPLE_WIDTH, SAMPLE_HEIGHT)
    if isinstance(preprocessing, Recipe):
        return framed(whole, _orientation(image), preprocessing)
    return upright(central_square(whole), _orientation(image))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 if there is none. Read after decoding: Pillow itself turns a TIFF, then drops the tag."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata of any kind: the picture itself is fine
        return 1
    return orientation if isinstance(orientation, int) else 1
