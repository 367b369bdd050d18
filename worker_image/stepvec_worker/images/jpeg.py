"""JPEGs decoded by libjpeg-turbo's own interface (simplejpeg): Pillow's pixels, bit for bit, but sooner, and judged.

Pillow has read the header before: its size was judged, and whatever differs from it here is left to Pillow to decode
or to refuse (docs/decisions/0046). Pillow decodes without a word what libjpeg warns about, half a picture included;
simplejpeg stops at the first warning, and what it means is decided here (docs/decisions/0082).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from stepvec_worker.images.jpeg_scan import judge_scan
from stepvec_worker.images.jpeg_structure import (
    END_OF_IMAGE,
    JpegStructure,
    has_hole,
    mended,
    missing_scans,
)
from stepvec_worker.images.rejection import ImageRejected, truncated_or_damaged

RgbArray = NDArray[np.uint8]
"""(height, width, 3)."""

SCALES: Final = (8, 4, 2)
"""libjpeg-turbo decodes at any M/8 of the size, but only at these fast: 3/8 costs more than 1/2."""

_PIXELS_MISSING: Final = re.compile("premature end of data|bad Huffman|bad arithmetic|instead of RST")
"""libjpeg-turbo's warnings (jerror.h) that mean that some pixels are not the picture's."""
_HARMLESS: Final = re.compile("extraneous bytes before marker 0xd9|^Warning|Adobe|ICC|Inconsistent progression")
"""Those that, first and alone, mean that a picture is odd and all there, where its scans cannot be read one by one."""
_LEFT_OVER: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_NOT_FOR_TURBO: Final = re.compile(
    "Unsupported (color|JPEG process|JPEG data)|subsampling|Requested features|precision"
)
"""What simplejpeg says of JPEGs that only Pillow may be able to read."""


def jpeg_scale(size: tuple[int, int], short_side: int | None) -> int:
    """The largest reduction, 1, 2, 4 or 8, that leaves the short side of `size` at least `short_side` pixels."""
    if short_side is None:
        return 1
    return next((scale for scale in SCALES if min(size) // scale >= short_side), 1)


@dataclass(frozen=True, slots=True)
class JpegReading:
    """A JPEG that is whole, as far as can be told: its pixels, (H, W, 3), or None if Pillow has to decode `data`.

    `data` is the file without oddities that cost no pixel. `unread` bytes before its end marker are not the picture's.
    """

    rgb: RgbArray | None
    data: bytes
    unread: int = 0


def read_jpeg(data: bytes, header: Image.Image, structure: JpegStructure, scale: int) -> JpegReading:
    """The RGB pixels of a JPEG at 1/`scale` of its size, unless Pillow has to decode it.

    `header` is the same JPEG, opened by Pillow. CMYK and YCCK, which Pillow converts in its own way, are only checked.
    Raises ImageRejected (Truncated or Damaged) for a picture that misses pixels or whose data is wrong.
    """
    is_rgb = header.mode in ("RGB", "L")
    colours, factor = ("RGB", scale) if is_rgb else ("CMYK", SCALES[0])
    is_odd = False
    try:
        reading = JpegReading(_decode_strictly(data, colours, header.size, factor), data)
    except ValueError as error:
        is_odd = True
        reading = _read_odd(data, structure, header.size, colours, factor, str(error))
    missing = "" if structure.has_one_scan else missing_scans(data, structure, is_odd=is_odd)
    if not missing and has_hole(data, structure, reading.unread):
        missing = "Zeros stand in the place of a part of the picture."
    if missing:
        raise _rejected(data, structure, missing)
    return reading if is_rgb else JpegReading(None, reading.data)


def _decode_strictly(data: bytes, colours: str, size: tuple[int, int], scale: int) -> RgbArray | None:
    """None for a size other than Pillow's. Raises ValueError at the first thing that libjpeg warns about."""
    width, height = size
    expected = (-(-height // scale), -(-width // scale), len(colours))
    found_height, found_width, _, _ = simplejpeg.decode_jpeg_header(data)
    if (found_width, found_height) != size:
        return None
    pixels: RgbArray = simplejpeg.decode_jpeg(
        data, colours, min_height=expected[0], min_width=expected[1], min_factor=scale
    )
    return pixels if pixels.shape == expected else None


def _read_odd(
    data: bytes, structure: JpegStructure, size: tuple[int, int], colours: str, scale: int, warning: str
) -> JpegReading:
    """A JPEG that libjpeg warns about: does it still, without what is harmless?"""
    without_oddities = mended(data, structure)
    if without_oddities != data:
        try:
            return JpegReading(_decode_strictly(without_oddities, colours, size, scale), without_oddities)
        except ValueError as error:
            warning = str(error)
    if _PIXELS_MISSING.search(warning):
        raise _rejected(data, structure, warning)
    verdict = judge_scan(without_oddities)
    if verdict is None:
        if not _HARMLESS.search(warning) and not _NOT_FOR_TURBO.search(warning):
            raise _rejected(data, structure, warning)
    elif not verdict.is_whole:
        share = f"{100 * verdict.blocks_read // max(1, verdict.blocks)} % of the picture can be read"
        raise _rejected(data, structure, f"{share}: {verdict.fault or warning}")
    left_over = _LEFT_OVER.search(warning)
    return JpegReading(None, without_oddities, int(left_over[1]) if left_over else 0)


def _rejected(data: bytes, structure: JpegStructure, what: str) -> ImageRejected:
    """Without an end marker anywhere behind its header, a JPEG breaks off."""
    return truncated_or_damaged(data, what, breaks_off=END_OF_IMAGE not in data[structure.scan :])
