"""JPEGs: which are given to a decoder at all, and the fast decoder.

The fast one is libjpeg-turbo's own interface (simplejpeg): the same pixels as Pillow's, bit for bit, and sooner.
Pillow has read the header before: its size was judged, and whatever differs from it here, or is not quite in order,
is left to Pillow to decode or to refuse (docs/decisions/0046).

Some JPEGs are small and legal and would keep a decoder busy for hours. A progressive JPEG may refine its picture in
any number of scans. A scan that changes nothing takes some 100 bytes and goes over the whole picture: 434 KB of them
decode for 20 s (8,000 x 8,000 pixels), 64 MB for most of an hour. 16 million empty segments before the picture cost
Pillow 15 s and 1.2 GB.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

RgbArray = NDArray[np.uint8]
"""(height, width, 3)."""

SCALES: Final = (8, 4, 2)
"""libjpeg-turbo decodes at any M/8 of the size, but only at these fast: 3/8 costs more than 1/2."""
MAX_SCANS: Final = 100
"""Scans of a JPEG. Encoders write 10 (libjpeg's default for progressive colour) to 20; libjpeg-turbo's own fuzzers stop
at 500."""
MAX_SEGMENTS: Final = 20_000
"""Segments before the first scan. 64 MB of Exif and profiles, 64 KB each, are 1,000."""

_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
"""Frame headers (SOF) of progressive JPEGs: Huffman, differential, and both with arithmetic coding. T.81, table B.1."""
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length: TEM, RST0 to RST7, SOI."""


def jpeg_bomb(data: bytes) -> str | None:
    """Why `data` must not reach a decoder; None for JPEGs of ordinary structure, and for anything that is not a JPEG.

    Reads the segments' lengths only: a few microseconds, plus one search through the bytes if it has several scans.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at, frame, components = 2, 0, 0
    for _ in range(MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        while data[at + 1 : at + 2] == b"\xff" and at >= 0:  # fill bytes
            at += 1
        if at < 0 or at + 4 > len(data) or data[at + 1] == _END_OF_IMAGE:
            return None
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            has_one_scan = frame not in _PROGRESSIVE and data[at + 4 : at + 5] == bytes([components])
            # 0xff 0xda occurs in no coded data: there 0xff is followed by 0x00 or by a restart marker.
            if not has_one_scan and (scans := data.count(b"\xff\xda", at)) > MAX_SCANS:
                return f"{scans:,} scans in one JPEG; the worker takes {MAX_SCANS}."
            return None
        if marker in _WITHOUT_LENGTH or marker == 0:
            at += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, components = marker, data[at + 9] if at + 9 < len(data) else 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return f"More than {MAX_SEGMENTS:,} segments before the picture."


def jpeg_scale(size: tuple[int, int], short_side: int | None) -> int:
    """The largest reduction, 1, 2, 4 or 8, that leaves the short side of `size` at least `short_side` pixels."""
    if short_side is None:
        return 1
    return next((scale for scale in SCALES if min(size) // scale >= short_side), 1)


def decode_jpeg(data: bytes, header: Image.Image, scale: int) -> RgbArray | None:
    """(H, W, 3) RGB at 1/`scale` of the size; None if Pillow has to decode it.

    `header` is the same JPEG, opened by Pillow. A file that is cut off, or contains anything that libjpeg warns
    about, gives None. So do CMYK and YCCK, which Pillow converts in its own way.
    """
    if header.mode not in ("RGB", "L"):
        return None
    width, height = header.size
    expected = (-(-height // scale), -(-width // scale), 3)
    try:
        found_height, found_width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (found_width, found_height) != header.size:
            return None
        rgb: RgbArray = simplejpeg.decode_jpeg(
            data, "RGB", min_height=expected[0], min_width=expected[1], min_factor=scale
        )
    except ValueError:
        return None
    return rgb if rgb.shape == expected else None
