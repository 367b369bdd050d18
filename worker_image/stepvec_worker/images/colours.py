"""Any of Pillow's modes to RGB of 8 bits, for `standard-1`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.rejection import ImageRejected

BAND_PIXELS: Final = 1 << 20
"""Values converted at a time: 8 MB as float64."""


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: transparency over white, more than 8 bits scaled down to 8 (never clipped).

    Embedded colour profiles are not applied (nor were they when the networks were trained). Raises ImageRejected
    (Unsupported) for a mode that cannot be converted.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    try:
        return _over_white(image) if image.has_transparency_data else image.convert("RGB")
    except ValueError as error:
        raise ImageRejected(FailureReason.UNSUPPORTED, f"Mode {image.mode} cannot be converted to RGB.") from error


def _over_white(image: Image.Image) -> Image.Image:
    # For large pictures: no copy if it is RGBA already, and its own alpha as the mask.
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits as 0..255.

    16 bits are divided by 257. Modes I and F do not say what white is: the smallest of the usual ranges that holds
    the values is used (F: 0..1; then 0..255, 0..65535), and beyond these the values' own range.
    """
    pixels = np.asarray(image)
    low, white = _range(image.mode, pixels)
    out = np.empty(pixels.shape, np.uint8)
    # In bands: float64 of a whole picture of 64 megapixels, several times over, is more than a vCPU's memory.
    for band, scaled in zip(_bands(pixels), _bands(out), strict=True):
        values = (_finite(band) - low) * (255.0 / white)
        scaled[:] = np.rint(np.clip(values, 0, 255))
    return out


def _range(mode: str, pixels: NDArray[Any]) -> tuple[float, float]:
    """The value that becomes black, and how far above it white is."""
    if mode.startswith("I;16"):
        return 0.0, 65535.0
    extremes = [(band.min(), band.max()) for band in map(_finite, _bands(pixels))]
    low, high = float(min(least for least, _ in extremes)), float(max(most for _, most in extremes))
    ranges = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    fitting = [limit for limit in ranges if low >= 0 and high <= limit]
    # A picture of a single value has no range of its own; any will do.
    return (0.0, fitting[0]) if fitting else (low, high - low or 1.0)


def _bands(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of consecutive parts, of any picture however wide, that hold BAND_PIXELS values at the most."""
    flat = pixels.reshape(-1)
    for start in range(0, len(flat), BAND_PIXELS):
        yield flat[start : start + BAND_PIXELS]


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # convert() does not know LAB: a colour profile converts it.
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only with inPlace=True
        raise ImageRejected(FailureReason.UNSUPPORTED, "Mode LAB cannot be converted to RGB.")
    return converted
