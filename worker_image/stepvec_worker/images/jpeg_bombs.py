"""JPEGs that are small and legal, and would keep a decoder busy for hours.

A progressive JPEG may refine its picture in any number of scans. A scan that changes nothing takes some 100 bytes and
goes over the whole picture: 434 KB of them decode for 20 s (8,000 x 8,000 pixels), 64 MB for most of an hour. 16
million empty segments before the picture cost Pillow 15 s and 1.2 GB.
"""

from __future__ import annotations

from typing import Final

MOST_SCANS: Final = 100
"""Scans of a JPEG. Encoders write 10 (libjpeg's default for progressive colour) to 20; libjpeg-turbo's own fuzzers stop
at 500."""
MOST_SEGMENTS: Final = 20_000
"""Segments before the first scan. 64 MB of Exif and profiles, 64 KB each, are 1,000."""

_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
"""Frame headers (SOF) of progressive JPEGs: Huffman, differential, and both with arithmetic coding. T.81, table B.1."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length: TEM, RST0 to RST7, SOI."""


def jpeg_bomb(data: bytes) -> str | None:
    """Why `data` is not given to a decoder; None for JPEGs of usual structure, and for all that is no JPEG.

    Reads the segments' lengths only: a few microseconds, and one search through the bytes of a JPEG of several scans.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at, frame, components = 2, 0, 0
    for _ in range(MOST_SEGMENTS):
        at = data.find(b"\xff", at)
        while data[at + 1 : at + 2] == b"\xff" and at >= 0:  # fill bytes
            at += 1
        if at < 0 or at + 4 > len(data) or data[at + 1] == _END_OF_IMAGE:
            return None
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            has_one_scan = frame not in _PROGRESSIVE and data[at + 4 : at + 5] == bytes([components])
            # 0xff 0xda occurs in no coded data: there 0xff is followed by 0x00 or by a restart marker.
            if not has_one_scan and (scans := data.count(b"\xff\xda", at)) > MOST_SCANS:
                return f"{scans:,} scans in one JPEG; the worker takes {MOST_SCANS}."
            return None
        if marker in _ALONE or marker == 0:
            at += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, components = marker, data[at + 9] if at + 9 < len(data) else 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return f"More than {MOST_SEGMENTS:,} segments before the picture."
