"""Damage that a format's decoder passes over in silence, found by what the format says of its own length.

JPEGs have a file of their own (jpeg.py). GIF, LZW and PackBits decoders notice that data runs out: there is nothing to
add. What no reader can know is in docs/reliability.md.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from PIL import Image, TiffImagePlugin

from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.rejection import FILLER_BYTES, ImageRejected, last_box_ends, truncated_or_damaged

SPARE_BYTES: Final = 8
"""What may be taken off the end of a WebP picture's data with nothing lost: an encoder writes up to 2 bytes more than
a decoder needs (measured with libwebp 1.6, from flat to noise, lossy and lossless: never 4)."""
_SMALLEST: Final = 64
_DEFLATE: Final = frozenset({"tiff_adobe_deflate", "tiff_deflate"})
_NEW_SUBFILE_TYPE: Final = 254
_REDUCED_RESOLUTION: Final = 1
_SUB_IFDS: Final = 330
"""TIFF 6.0, section 8 and TIFF/EP (ISO 12234-2): the full picture of such a file is in a sub-directory."""
_DNG_VERSION: Final = 50706
"""In every DNG (Adobe's specification 1.7, chapter 4)."""
_STRIPS: Final = (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS)
_TILES: Final = (TiffImagePlugin.TILEOFFSETS, TiffImagePlugin.TILEBYTECOUNTS)


def check_before_loading(image: Image.Image, data: bytes) -> None:
    """Raises ImageRejected (Truncated or Damaged) for what loading `image`, opened from `data`, would not notice."""
    if image.format == "WEBP":
        _check_webp(data)
    elif image.format in ("AVIF", "HEIF"):
        _check_boxes(data)
    elif image.format == "PNG":
        _check_png(data)
    elif image.format == "TIFF":
        _check_is_no_raw_file(image, data)
        if image.info.get("compression") in _DEFLATE:
            _check_deflated_strips(image, data)


def _check_webp(data: bytes) -> None:
    """VP8 and VP8L have no checksum and no end marker: wrong bytes are decoded to other pixels.

    But wrong bytes last longer or shorter than the right ones. A decoder that runs out of them says so; whether it
    leaves some over shows when it succeeds without the last ones.
    """
    shortened = _shortened_webp(data)
    if shortened is None:
        return
    try:
        Image.open(io.BytesIO(shortened), formats=("WEBP",)).load()
    except Exception:  # noqa: BLE001 - as it must be: the picture needs its last bytes
        return
    raise truncated_or_damaged(data, "the picture ends before its data does")


def _shortened_webp(data: bytes) -> bytes | None:
    """A still WebP without the last bytes of its picture; None for animations and for tiny pictures."""
    for name, start, end in _riff_chunks(data):
        if name == b"ANMF":
            return None
        if name in (b"VP8 ", b"VP8L"):
            kept = end - start - SPARE_BYTES
            if kept < _SMALLEST:
                return None
            body = data[start : start + kept] + bytes(kept & 1)
            chunks = data[12 : start - 4] + kept.to_bytes(4, "little") + body + data[end + ((end - start) & 1) :]
            return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks
    return None


def _check_boxes(data: bytes) -> None:
    """AV1's decoder takes any bytes. But 64 equal ones at the end of arithmetic-coded data, or 64 zeros in it, are
    none of its own: not in flat areas either (HEVC forbids even three, H.265, 7.4.2). Exif, which may be padded with
    zeros, lies in the same box.
    """
    media, end = data.find(b"mdat"), min(last_box_ends(data), len(data))
    has_hole = b"Exif" not in data[:media] and data.find(bytes(FILLER_BYTES), media, end) >= 0
    if has_hole or len(set(data[end - FILLER_BYTES : end])) == 1:
        raise truncated_or_damaged(data, "bytes that are no picture stand in its place")


def _check_png(data: bytes) -> None:
    """Pillow does not compare the checksums of IDAT chunks: zeros are pixels to it, too.

    A wrong checksum alone is not held against a picture whose zlib stream is whole. A file that is only cut off is
    Pillow's to judge: it may end behind its last pixel.
    """
    coded, is_wrong, at = [], False, 8
    while at + 12 <= len(data) and not is_wrong:
        length = int.from_bytes(data[at : at + 4], "big")
        name, end = data[at + 4 : at + 8], at + 8 + length
        if name == b"IEND":
            break
        if name == b"IDAT":
            coded.append(memoryview(data)[at + 8 : end])
            checksum = zlib.crc32(coded[-1], zlib.crc32(name)).to_bytes(4, "big")
            is_wrong = end + 4 <= len(data) and data[end : end + 4] != checksum
        else:
            is_wrong = not name.isalpha()
        at = end + 4
    if is_wrong and not _is_whole_stream(coded):
        raise truncated_or_damaged(data, "a checksum is wrong")


def _is_whole_stream(parts: Iterable[memoryview]) -> bool:
    """Whether these are a whole zlib stream, with the right checksum. Unpacked piece by piece and thrown away."""
    unpacker = zlib.decompressobj()
    for part in parts:
        pending: bytes | memoryview = part
        try:
            while pending and not unpacker.eof:
                unpacker.decompress(pending, 1 << 20)
                pending = unpacker.unconsumed_tail
            while not unpacker.eof and unpacker.decompress(b"", 1 << 20):
                pass
        except zlib.error:
            return False
    return unpacker.eof


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the body of each chunk."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, min(at + 8 + length, len(data))
        at += 8 + length + (length & 1)


def _check_is_no_raw_file(image: Image.Image, data: bytes) -> None:
    """Most cameras' raw files are TIFFs whose first picture is a thumbnail: it would be embedded for the photo."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    is_small_copy = bool(int(tags.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION)
    if _DNG_VERSION in tags or data[8:10] == b"CR" or (is_small_copy and _SUB_IFDS in tags):
        raise ImageRejected(
            FailureReason.UNSUPPORTED,
            "This is a camera's raw file (DNG, CR2, NEF, ARW or the like): what a reader of TIFF sees first in it is a "
            "thumbnail. Export it as JPEG or TIFF.",
        )


def _check_deflated_strips(image: Image.Image, data: bytes) -> None:
    """libtiff stops when a strip's rows are full, before zlib has compared its checksum."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    places, lengths = _TILES if _TILES[0] in tags else _STRIPS
    for start, length in zip(tags.get(places, ()), tags.get(lengths, ()), strict=False):
        if not _is_whole_stream([memoryview(data)[start : start + length]]):
            raise truncated_or_damaged(data, "a checksum is wrong")
