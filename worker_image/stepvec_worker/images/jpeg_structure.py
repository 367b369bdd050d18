"""The segments of a JPEG: what may go to a decoder, what can be mended without loss, what is missing (ITU-T T.81).

Some JPEGs are small and legal and would keep a decoder busy for hours. A progressive JPEG may refine its picture in
any number of scans. A scan that changes nothing takes some 100 bytes and goes over the whole picture: 434 KB of them
decode for 20 s (8,000 x 8,000 pixels), 64 MB for most of an hour. 16 million empty segments before the picture cost
Pillow 15 s and 1.2 GB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_SCANS: Final = 100
"""Scans of a JPEG. Encoders write 10 (libjpeg's default for progressive colour) to 20; libjpeg-turbo's own fuzzers stop
at 500."""
MAX_SEGMENTS: Final = 20_000
"""Segments before the first scan. 64 MB of Exif and profiles, 64 KB each, are 1,000."""

START_OF_SCAN: Final = 0xDA
END_OF_IMAGE: Final = b"\xff\xd9"
HUFFMAN_TABLES: Final = 0xC4
_APP0: Final = 0xE0
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
"""Frame headers (SOF) of progressive JPEGs: Huffman, differential, and both with arithmetic coding. T.81, table B.1."""
SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
"""Those of sequential Huffman JPEGs: baseline and extended."""
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length: TEM, RST0 to RST7, SOI."""
_HUFFMAN: Final = b"\xff\xc4"
_ZERO_RUN: Final = 15
_HOLE: Final = bytes(64)
"""512 bits of zeros: more than 20 blocks of any Huffman table in which zeros are not "the rest is flat"."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and what belongs to it, `data[at:end]`; its body begins at `body`."""

    marker: int
    at: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class JpegStructure:
    """What stands before the first scan. `scan` is where its data begins, 0 if there is none.

    bomb: why the file must not reach a decoder; None for ordinary JPEGs.
    """

    scan: int
    frame: int
    components: int
    has_one_scan: bool
    bomb: str | None

    @property
    def is_progressive(self) -> bool:
        """Whether the picture comes in scans that refine it."""
        return self.frame in _PROGRESSIVE


def is_jpeg(data: bytes) -> bool:
    """Whether `data` begins as a JPEG does."""
    return data.startswith(b"\xff\xd8\xff")


def segments(data: bytes, at: int = 2) -> Iterator[Segment]:
    """The segments from `at` on, the first scan's header last. Bytes between two segments are skipped."""
    while True:
        at = data.find(b"\xff", at)
        while data[at + 1 : at + 2] == b"\xff" and at >= 0:  # fill bytes
            at += 1
        if at < 0 or at + 4 > len(data) or data[at + 1] == END_OF_IMAGE[1]:
            return
        marker = data[at + 1]
        if marker in _WITHOUT_LENGTH or marker == 0:
            segment = Segment(marker, at, at + 2, at + 2)
        else:
            segment = Segment(marker, at, at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"))
        yield segment
        if marker == START_OF_SCAN:
            return
        at = segment.end


def is_frame(marker: int) -> bool:
    """Whether `marker` is a frame header: SOF0 to SOF15 without DHT, JPG and DAC."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def read_structure(data: bytes) -> JpegStructure | None:
    """The structure of a JPEG; None for anything that does not begin like one.

    Reads the segments' lengths only: a few microseconds, plus one search through the bytes if it has several scans.
    """
    if not is_jpeg(data):
        return None
    frame, components = 0, 0
    for count, segment in enumerate(segments(data)):
        if count >= MAX_SEGMENTS:
            return JpegStructure(0, frame, components, True, f"More than {MAX_SEGMENTS:,} segments before the picture.")
        if is_frame(segment.marker):
            frame, components = segment.marker, data[segment.body + 5] if segment.body + 5 < len(data) else 0
        elif segment.marker == START_OF_SCAN:
            has_one_scan = frame not in _PROGRESSIVE and data[segment.body : segment.body + 1] == bytes([components])
            # 0xff 0xda occurs in no coded data: there 0xff is followed by 0x00 or by a restart marker.
            scans = 1 if has_one_scan else data.count(b"\xff\xda", segment.at)
            bomb = f"{scans:,} scans in one JPEG; the worker takes {MAX_SCANS}." if scans > MAX_SCANS else None
            return JpegStructure(min(segment.end, len(data)), frame, components, has_one_scan, bomb)
    return JpegStructure(0, frame, components, True, None)


def mended(data: bytes, structure: JpegStructure) -> bytes:
    """`data` without the oddities that libjpeg warns about and that cost no pixel, so that any other warning counts.

    Bytes between the segments before the picture, a JFIF version other than 1, parameters of a sequential scan that
    are for progressive ones, and a missing end marker.
    """
    parts = [data[:2]]
    for segment in segments(data, 2):
        part = bytearray(data[segment.at : segment.end])
        if segment.marker == _APP0 and part[4:9] == b"JFIF\0" and len(part) > 9:
            part[9] = 1
        if segment.marker == START_OF_SCAN and structure.has_one_scan and len(part) >= 7:
            part[-3:] = b"\0\x3f\0"
        if segment.marker not in _WITHOUT_LENGTH and segment.marker:
            parts.append(bytes(part))
    picture = data[structure.scan :]
    parts.append(picture)
    if END_OF_IMAGE not in picture:
        parts.append(END_OF_IMAGE[1:] if picture.endswith(b"\xff") else END_OF_IMAGE)
    return b"".join(parts)


def missing_scans(data: bytes, structure: JpegStructure, *, is_odd: bool) -> str:
    """What the scans of a JPEG of several leave out; "" where they give the whole picture.

    A file cut off between two scans decodes without a warning: in grey, or to coarse colours. An encoder may leave the
    last refinements out: that is held against a file only if it has no end marker, or is odd otherwise.
    """
    end = data.find(END_OF_IMAGE, structure.scan)
    has_end = end >= 0
    missing_bits: defaultdict[int, dict[int, int]] = defaultdict(dict)
    at = 2
    while (scan := _next_scan(data, at, end if has_end else len(data))) is not None:
        names, first, last, low = scan[1]
        for name in names:
            missing_bits[name].update(dict.fromkeys(range(first, last + 1), low))
        at = scan[0]
    if len(missing_bits) < structure.components:
        return f"Only {len(missing_bits)} of its {structure.components} colour components are there."
    is_refined = all(bits.get(place, 1) == 0 for bits in missing_bits.values() for place in range(64))
    if structure.is_progressive and (is_odd or not has_end) and not is_refined:
        return "It ends before its last scans."
    return ""


def _next_scan(data: bytes, at: int, end: int) -> tuple[int, tuple[list[int], int, int, int]] | None:
    """Where the scan after `at` begins, and its components, first and last coefficient, and low bits still missing."""
    found = data.find(b"\xff\xda", at, end)
    length = int.from_bytes(data[found + 2 : found + 4], "big")
    body = data[found + 4 : min(found + 2 + length, end)]
    if found < 0 or len(body) < 6 or len(body) < 4 + 2 * body[0]:
        return None
    names = [body[1 + 2 * part] for part in range(body[0])]
    first, last, approximation = body[1 + 2 * body[0] : 4 + 2 * body[0]]
    return found + 2, (names, first, last, approximation & 15)


def has_hole(data: bytes, structure: JpegStructure, unread: int = 0) -> bool:
    """Whether zeros stand in the place of a part of the picture's data, whose last `unread` bytes are not needed.

    libjpeg reads them as code words. Where these are coefficients, as in the tables of T.81's annex K, 64 bytes of
    zeros would be dozens of blocks with 63 equal coefficients each, which no encoder has ever made of a picture. Where
    they are "end of block", or a progressive JPEG's means, zeros are a flat area, and a hole cannot be told from one.
    """
    if data.find(_HOLE, structure.scan) < 0:
        return False
    end = data.find(END_OF_IMAGE, structure.scan)
    coded = data[: (end if end >= 0 else len(data)) - unread]
    hole = coded.find(_HOLE, structure.scan)
    while hole >= 0:
        if not _is_flat(coded, hole, structure):
            return True
        hole = coded.find(b"\xff\xda", hole)  # the next scan has other tables
        hole = coded.find(_HOLE, hole) if hole >= 0 else -1
    return False


def _is_flat(data: bytes, hole: int, structure: JpegStructure) -> bool:
    """Whether zeros at `hole` may be a flat area in the scan that they are in."""
    at = data.rfind(b"\xff\xda", 0, hole)
    header = _next_scan(data, at, len(data)) if at >= 0 else None
    if header is None or (structure.is_progressive and header[1][1] == 0):
        return True
    symbols = dict(_symbols_of_zeros(data, at))
    body = data[at + 4 :]
    return all(
        (symbol := symbols.get(body[2 + 2 * part] & 15)) is None or _ends_block(symbol) for part in range(body[0])
    )


def _ends_block(symbol: int) -> bool:
    """Whether an AC symbol is "end of block", or of a run of blocks (progressive)."""
    return symbol & 15 == 0 and symbol >> 4 < _ZERO_RUN


def _symbols_of_zeros(data: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Each AC table before `end`, and what its code word of zeros means: its first symbol, as codes are in order."""
    found = data.find(_HUFFMAN, 2, end)
    while found >= 0:
        last = found + 2 + int.from_bytes(data[found + 2 : found + 4], "big")
        at = found + 4
        while at + 17 < min(last, end):
            if data[at] >> 4:
                yield data[at] & 15, data[at + 17]
            at += 17 + sum(data[at + 1 : at + 17])
        found = data.find(_HUFFMAN, max(last, found + 2), end)
