"""Pictures of 16 bits a sample that use fewer: 10 to 14 bits, right-aligned, as cameras and scanners give them.

Of grey pictures Pillow keeps all 16 bits (colours.py scales them). Of colour pictures it keeps the high byte, which is
next to black where 12 bits are used. Loaded once more, the same decoders give the low byte.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepvec_worker.images.colours import BAND_PIXELS, MAX_SAMPLE_VALUE, WHITES, number

_RAW_MODE: Final = re.compile(r"(RGBA?;16)([BLN])")
_OTHER_BYTE: Final = {"B": "L", "L": "B", "N": "B"}
"""Raw modes by byte order. Read in the wrong order, a sample's low byte is taken for its high one. N is L here."""
_NEARLY_BLACK: Final = 64
"""High bytes below: values of no more than 14 bits."""
_CHUNK: Final = struct.Struct(">I4s")
_SIGNATURE_BYTES: Final = 8


def low_byte_tiles(image: Image.Image) -> list[Any]:
    """What an opened picture of 16 bits a colour has to load for its low bytes; nothing for any other picture."""
    tiles = [tile._replace(args=_with_other_byte(tile.args)) for tile in getattr(image, "tile", ())]
    return tiles if all(tile.args is not None for tile in tiles) else []


def is_nearly_black(image: Image.Image) -> bool:
    """Whether no colour of an RGB or RGBA picture, as loaded, is above a quarter of white."""
    extremes: Any = image.getextrema()  # a pair for each channel
    return all(high < _NEARLY_BLACK for _, high in extremes[:3])


def spread(image: Image.Image, low: Image.Image, said: float | None) -> None:
    """Give `image`, the high bytes, the brightness that its 16 bits mean; `low` has the low bytes.

    White is what the file says, if its values keep to it, otherwise the least of the usual ones that holds them. The
    alpha channel is scaled alike where it keeps to that white, and stays what it is where it does not.
    """
    tops = _highest(image, low)
    white = next(level for level in ((said,) if said and max(tops[:3]) <= said else WHITES) if max(tops[:3]) <= level)
    scales = [255 / white] * 3
    if len(tops) > 3:
        scales.append(255 / white if tops[3] <= white else 255 / 65535)
    for top, values in _bands(image, low):
        band = np.rint(np.minimum(values * np.array(scales), 255)).astype(np.uint8)
        image.paste(Image.fromarray(band), (0, top))


def said_white(image: Image.Image, data: bytes) -> float | None:
    """The white that a picture names: a TIFF's MaxSampleValue, a PNG's sBIT; None where it names none.

    A PNG's samples are to be scaled to all 16 bits whatever sBIT says (https://www.w3.org/TR/png-3/#11sBIT): values
    that keep to its bits were not.
    """
    if image.format == "PNG":
        bits = _significant_bits(data)
        return float(2**bits - 1) if bits else None
    return number(getattr(image, "tag_v2", {}).get(MAX_SAMPLE_VALUE))


def _with_other_byte(args: Any) -> Any:
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    match = _RAW_MODE.fullmatch(raw_mode) if isinstance(raw_mode, str) else None
    if match is None:
        return None
    other = match[1] + _OTHER_BYTE[match[2]]
    return (other, *args[1:]) if isinstance(args, tuple) else other


def _highest(image: Image.Image, low: Image.Image) -> list[int]:
    """The highest value of each channel."""
    tops: list[int] = np.max([values.max(axis=(0, 1)) for _, values in _bands(image, low)], axis=0).tolist()
    return tops


def _bands(image: Image.Image, low: Image.Image) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Consecutive rows as values of 16 bits, (rows, W, channels) each, with the number of the first."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        high_bytes, low_bytes = (np.asarray(part.crop(box)).astype(np.uint16) for part in (image, low))
        yield top, high_bytes * 256 + low_bytes


def _significant_bits(data: bytes) -> int:
    """The first number of a PNG's sBIT chunk, which stands before the picture; 0 where there is none."""
    at = _SIGNATURE_BYTES
    while at + _CHUNK.size < len(data):
        length, name = _CHUNK.unpack_from(data, at)
        if name == b"sBIT":
            return data[at + _CHUNK.size]
        if name == b"IDAT":
            break
        at += _CHUNK.size + length + 4
    return 0
