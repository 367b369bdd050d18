"""The original sample's resizing and cropping, for `sample-1`, in numpy.

The sample calls mx.image.resize_short(image, 224) and mx.image.center_crop(image, (224, 244)). Both resize by
OpenCV's INTER_CUBIC: 4 x 4 pixels, a = -0.75, no antialiasing, on float32 that is neither rounded nor clipped. The
sizes follow mxnet/image/image.py of 1.9.1; tests/worker/test_sample_geometry.py compares with it:
the pixels are the same, bit for bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Pixels = NDArray[np.uint8] | FloatArray

_SHORT_SIDE: Final = 224
_A: Final = -0.75
"""OpenCV's parameter of the cubic kernel (imgproc/src/resize.cpp, interpolateCubic)."""


def sample_crop(pixels: Pixels, width: int, height: int) -> FloatArray:
    """(H, W, 3) of any size, 0..255, to (`height`, `width`, 3) float32, as the sample does it.

    The short side becomes 224. A landscape or square photo is then only 224 high, too low for 244: the largest box
    of 224:244 in its middle (205 x 224) is cut out and enlarged. An upright photo whose long side reaches 244 is
    only cut. Smaller photos are enlarged first, by the same steps.
    """
    rows, columns = _resized_size(pixels.shape[0], pixels.shape[1])
    crop_width, crop_height = _scaled_down(columns, rows, width, height)
    left, top = int((columns - crop_width) / 2), int((rows - crop_height) / 2)
    # Each output pixel depends on its own 4 x 4 pixels only, so what the crop discards is never computed.
    cut = _resize(pixels, (rows, columns), slice(top, top + crop_height), slice(left, left + crop_width))
    if (crop_height, crop_width) == (height, width):
        return cut
    return _resize(cut, (height, width), slice(0, height), slice(0, width))


def _resized_size(rows: int, columns: int) -> tuple[int, int]:
    """mx.image.resize_short: rows and columns after the short side has become 224."""
    if rows > columns:
        return _SHORT_SIDE * rows // columns, _SHORT_SIDE
    return _SHORT_SIDE, _SHORT_SIDE * columns // rows


def _scaled_down(columns: int, rows: int, width: int, height: int) -> tuple[int, int]:
    """mx.image.scale_down: the largest width x height of this proportion that fits, cut to whole pixels."""
    crop_width, crop_height = float(width), float(height)
    if rows < crop_height:
        crop_width, crop_height = crop_width * rows / crop_height, float(rows)
    if columns < crop_width:
        crop_width, crop_height = float(columns), crop_height * columns / crop_width
    return int(crop_width), int(crop_height)


def _resize(pixels: Pixels, size: tuple[int, int], rows: slice, columns: slice) -> FloatArray:
    """The part `rows` x `columns` of `pixels` resized to `size` (rows, columns)."""
    row_taps, row_weights = _cubic_taps(pixels.shape[0], size[0], rows)
    column_taps, column_weights = _cubic_taps(pixels.shape[1], size[1], columns)
    # Along the rows first, as OpenCV does, and only those rows that a tap reads.
    wanted, position = np.unique(row_taps, return_inverse=True)
    source = pixels[wanted]
    across = source[:, column_taps[0]] * column_weights[0][None, :, None]
    for tap in range(1, 4):
        across += source[:, column_taps[tap]] * column_weights[tap][None, :, None]
    position = position.reshape(row_taps.shape)
    down = across[position[0]] * row_weights[0][:, None, None]
    for tap in range(1, 4):
        down += across[position[tap]] * row_weights[tap][:, None, None]
    return np.asarray(down, np.float32)


def _cubic_taps(source: int, target: int, part: slice) -> tuple[NDArray[np.intp], FloatArray]:
    """For each target position in `part`: the four source positions (clamped at the edge) and their weights."""
    # OpenCV rounds the centre to float32 before it takes the fraction, which is seen in the result of a wide photo.
    centre = ((np.arange(part.start, part.stop) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(centre)
    x = centre - first
    a = np.float32(_A)
    weights = np.empty((4, len(x)), np.float32)
    weights[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    weights[1] = ((a + 2) * x - (a + 3)) * x * x + 1
    weights[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    weights[3] = 1 - weights[0] - weights[1] - weights[2]
    taps = first.astype(np.intp)[None, :] + np.arange(-1, 3)[:, None]
    return np.clip(taps, 0, source - 1), weights
