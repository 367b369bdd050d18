"""Any mode of Pillow's to RGB of 8 bits, for `standard-1`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from stepvec.outcome import FailureReason
from stepvec_worker.decoding import ImageRejected


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: transparency over white, more than 8 bits scaled down to 8 (never clipped).

    Embedded colour profiles are not applied (neither did the networks' training). Raises ImageRejected (Unsupported)
    for a mode that cannot be converted.
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
    # Large pictures are here too: no copy where it is RGBA already, and its own alpha as the mask.
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits as 0..255.

    16 bits are divided by 257. Modes I and F do not say what white is: the smallest of the usual ranges that holds
    the values is taken (F: 0..1; then 0..255, 0..65535), and beyond these the values' own range.
    """
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, white = 0.0, 65535.0
    else:
        ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        fitting = [limit for limit in ranges if low >= 0 and high <= limit]
        # A picture of one value has no range of its own; any will do.
        low, white = (0.0, fitting[0]) if fitting else (low, high - low or 1.0)
    scaled = (values - low) * (255.0 / white)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # convert() knows no LAB: the conversion is a colour profile's.
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only with inPlace=True
        raise ImageRejected(FailureReason.UNSUPPORTED, "Mode LAB cannot be converted to RGB.")
    return converted
