"""Valid pictures, damaged: cut off, and changed at random from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from PIL import ExifTags, Image

from resilience.corpus.encoders import FORMATS, SUFFIX, HostileImage, encoded, hostile, scene

_WORDS: Final = tuple(map(bytes.fromhex, ("00", "ff", "00000000", "ffffffff", "7fffffff", "ffffff7f", "80000000")))


def truncations() -> Iterator[HostileImage]:
    """A picture of each format, cut off at every tenth of it."""
    for format_ in FORMATS:
        whole = encoded(scene(200, 150), format_)
        for tenth in range(1, 10):
            data = whole[: len(whole) * tenth // 10]
            yield hostile(f"cut-at-{tenth}0.{SUFFIX[format_]}", data, "Truncated")


def seeds() -> list[bytes]:
    """Small pictures of each format and of its most different forms, to be mutated."""
    picture, transparent = scene(48, 32), scene(48, 32).convert("RGBA")
    frames = [scene(48, 32).rotate(degrees) for degrees in (90, 180)]
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    coloured, binary = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"), ("group3", "group4")
    return [
        *(encoded(picture, format_) for format_ in FORMATS),
        encoded(picture, "JPEG", progressive=True, optimize=True),
        encoded(picture.convert("CMYK"), "JPEG", exif=turned),
        encoded(transparent, "PNG"),
        encoded(picture.quantize(16), "PNG", save_all=True, append_images=frames),
        encoded(transparent, "WEBP", lossless=True),
        encoded(picture, "WEBP", save_all=True, append_images=frames),
        encoded(picture, "GIF", save_all=True, append_images=frames, comment=b"a comment"),
        encoded(picture.convert("1"), "BMP"),
        *(encoded(picture, "TIFF", compression=kind) for kind in coloured),
        *(encoded(picture.convert("1"), "TIFF", compression=kind) for kind in binary),
    ]


def mutate(whole: bytes, generator: random.Random) -> bytes:
    """`whole` with one to six changes of the kinds that break parsers: bits, borders, repeats, gaps, splices."""
    data = bytearray(whole)
    for _ in range(generator.randint(1, 6)):
        at = generator.randrange(max(1, len(data)))
        # Headers decide most: half of all changes fall into the first 64 bytes.
        at = generator.randrange(min(64, len(data))) if data and generator.random() < 0.5 else at
        length = generator.randint(1, 32)
        kind = generator.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            word = generator.choice(_WORDS)
            data[at : at + len(word)] = word
        elif kind == 2:
            data[at:at] = data[at : at + length] * generator.randint(1, 50)
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            other = generator.randrange(max(1, len(data)))
            data[at : at + length] = data[other : other + length]
        else:
            data[at : at + length] = generator.randbytes(length)
    return bytes(data)
