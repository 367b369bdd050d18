"""Whether all pixels of a picture have one colour: a blank scan, a lens cap. Its vector says nothing of a subject."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepvec_worker.images.jpeg import RgbArray

_ROUNDING: Final = 0.01
"""By how much sample-1's weights, in float32, may make different values of one."""


def is_uniform(seen: NDArray[np.uint8] | NDArray[np.float32], whole: RgbArray | Image.Image) -> bool:
    """Whether all pixels of `whole`, the decoded picture in RGB, are the same.

    `seen`, (H, W, 3), is what the network sees of it, and of one colour too if `whole` is: a few pixels of it answer
    for nearly every photo.
    """
    middle = seen[len(seen) // 2]
    # One pixel against another answers for nearly all; each further look costs ten times more.
    is_like_the_corner = abs(float(seen[0, 0, 1]) - float(middle[len(middle) // 2, 1])) < _ROUNDING
    return is_like_the_corner and _is_flat(middle) and _is_flat(seen) and _is_one_colour(whole)


def _is_flat(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> bool:
    colours = pixels.reshape(-1, 3)
    return bool((np.abs(colours - colours[0].astype(np.float32)) < _ROUNDING).all())


def _is_one_colour(whole: RgbArray | Image.Image) -> bool:
    if isinstance(whole, Image.Image):
        return all(low == high for low, high in whole.getextrema())  # type: ignore[misc]  # a pair for each of R, G, B
    return all((row == whole[0, 0]).all() for row in whole)
