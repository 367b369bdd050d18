"""The resizing and cropping of an encoder's own recipe: Pillow's, as transformers and torchvision do it.

All of the picture is decoded and resized: what standard-1 gains by decoding smaller pictures would be another
preprocessing than the one that the encoder was trained with.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from stepvec.rows.encoder import Recipe, Resample
from stepvec_worker.images.jpeg import RgbArray
from stepvec_worker.images.standard_geometry import upright

_FILTERS: Final[dict[Resample, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}

_UPRIGHT: Final = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture that lies on its side, by its EXIF orientation (Pillow's ImageOps.exif_transpose)."""
_LONGEST: Final = 64
"""Times the short side that the long one may be; a crop is less than three times as long as it is wide."""


def framed(whole: RgbArray | Image.Image, orientation: int, recipe: Recipe) -> RgbArray:
    """(H, W, 3) as `recipe.size` says: `whole`, in RGB, turned upright, resized and cropped.

    What lies on its side is turned first, since Pillow rounds between its pass along the rows and that along the
    columns; what only has to be mirrored is so when it is small.
    """
    image = whole if isinstance(whole, Image.Image) else Image.fromarray(np.ascontiguousarray(whole))
    if len(recipe.resize) == 1:
        image = _middle(image)
    if orientation in _UPRIGHT:
        image, orientation = image.transpose(_UPRIGHT[orientation]), 1
    height, width = _resized_size((image.height, image.width), recipe.resize)
    if image.size != (width, height):
        image = image.resize((width, height), _FILTERS[recipe.resample])
    return _cropped(upright(np.asarray(image), orientation), recipe)


def _middle(image: Image.Image) -> Image.Image:
    """`image` without ends that a crop cuts off anyway: a line of a million pixels, resized, would fill the memory."""
    width, height = image.size
    longest = _LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, min(width, left + longest), min(height, top + longest)))


def _resized_size(size: tuple[int, int], resize: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of an upright picture of `size`, resized."""
    if len(resize) == 2:
        return resize[0], resize[1]
    (short,) = resize
    height, width = size
    # The longer side is cut off, not rounded: torchvision's _compute_resized_output_size, transformers'
    # get_resize_output_image_size.
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def _cropped(picture: RgbArray, recipe: Recipe) -> RgbArray:
    if not recipe.crop:
        return picture
    top, left = (_offset(have - wanted, recipe) for have, wanted in zip(picture.shape[:2], recipe.crop, strict=True))
    height, width = recipe.crop
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def _offset(excess: int, recipe: Recipe) -> int:
    return excess // 2 if recipe.crop_offset == "down" else round(excess / 2)
