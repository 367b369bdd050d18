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


WHITES: Final = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White of 8, 10, 12, 14 and 16 bits: cameras, scanners and X-rays put fewer bits than 16 into 16."""
MAX_SAMPLE_VALUE: Final = 281
SAID_WHITE: Final = "white"
"""Where a picture's `info` has the white that its file names otherwise than by a tag."""
_GDAL_NODATA: Final = 42113
"""GDAL's tag for the value of pixels that were not measured, in ASCII: https://gdal.org/drivers/raster/gtiff.html."""


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits as 0..255, those that are no data black.

    White is what the file says (a TIFF's MaxSampleValue, a PNG's sBIT), if its values keep to it. Otherwise it is the
    least of the usual ones that holds the values (1 of floats, then WHITES), and beyond these, and where some pixels
    are no data, the values' own range is stretched.
    """
    pixels = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    nodata = number(tags.get(_GDAL_NODATA))
    low, white = _range(image.mode, pixels, nodata, number(image.info.get(SAID_WHITE) or tags.get(MAX_SAMPLE_VALUE)))
    out = np.empty(pixels.shape, np.uint8)
    # In bands: float64 of a whole picture of 64 megapixels, several times over, is more than a vCPU's memory.
    for band, scaled in zip(_bands(pixels), _bands(out), strict=True):
        values = (_measured(band, nodata, low) - low) * (255.0 / white)
        scaled[:] = np.rint(np.clip(values, 0, 255))
    return out


def _range(mode: str, pixels: NDArray[Any], nodata: float | None, said: float | None) -> tuple[float, float]:
    """The value that becomes black, and how far above it white is."""
    extremes = [
        (part.min(), part.max())
        for band in _bands(pixels)
        if len(part := band[np.isfinite(band) & (band != nodata)] if _may_lack(band, nodata) else band)
    ]
    if not extremes:
        return 0.0, 1.0
    low, high = float(min(least for least, _ in extremes)), float(max(most for _, most in extremes))
    if low >= 0 and said and high <= said:
        return 0.0, said
    whites = (1.0, *WHITES) if mode == "F" else WHITES
    # What has a value for "no data" is a measurement, not a photo: it has no white.
    fitting = [white for white in whites if low >= 0 and high <= white] if nodata is None else []
    # A picture of a single value has no range of its own; any will do.
    return (0.0, fitting[0]) if fitting else (low, high - low or 1.0)


def _may_lack(band: NDArray[Any], nodata: float | None) -> bool:
    return nodata is not None or band.dtype.kind == "f"


def _measured(band: NDArray[Any], nodata: float | None, instead: float) -> NDArray[np.float64]:
    """`band` in float64, with `instead` where there is no number or no data."""
    values = band.astype(np.float64)
    if _may_lack(band, nodata):
        values[~np.isfinite(values) | (band == nodata)] = instead
    return values


def number(tag: object) -> float | None:
    """The number that a tag gives, alone, as text or first of several; None if there is none."""
    first = tag[0] if isinstance(tag, tuple) and tag else tag
    try:
        return float(first.strip("\0 ") if isinstance(first, str) else first)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _bands(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of consecutive parts, of any picture however wide, that hold BAND_PIXELS values at the most."""
    flat = pixels.reshape(-1)
    for start in range(0, len(flat), BAND_PIXELS):
        yield flat[start : start + BAND_PIXELS]


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    # convert() does not know LAB: a colour profile converts it.
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only with inPlace=True
        raise ImageRejected(FailureReason.UNSUPPORTED, "Mode LAB cannot be converted to RGB.")
    return converted
