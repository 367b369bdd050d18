"""Small valid pictures of each format, and the parts that hostile files are made of."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIX: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}

EMBEDDED: Final = "embedded"
"""The outcome besides the reasons of stepvec.runs.outcome.FailureReason."""
CRASHED: Final = "crashed"
HUNG: Final = "hung"
"""What an image did to the process that decoded it."""
MUTATIONS: Final = 50
"""Random changes of one file that share a process."""


@dataclass(frozen=True, slots=True)
class HostileImage:
    """A file meant to do harm, and its right outcomes (EMBEDDED, or reasons)."""

    name: str
    data: bytes
    outcomes: frozenset[str]


def hostile(name: str, data: bytes, *outcomes: str) -> HostileImage:
    """As the class."""
    return HostileImage(name, data, frozenset(outcomes))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The bytes of a file of `image`."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """A picture in RGB with something in every corner: gradients of two colours."""
    red = Image.linear_gradient("L").resize((width, height))
    green = red.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return Image.merge("RGB", (red, green, Image.radial_gradient("L").resize((width, height))))


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG of `pixels`, already compressed; `extra` chunks come before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(width: int, height: int, strip: bytes, **tags: tuple[int, int, int]) -> bytes:
    """A little-endian TIFF of one strip. `tags` replace or add entries: name=(tag, type 3 or 4, value)."""
    entries = {
        256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 1), 262: (3, 1),
        273: (4, 8), 277: (3, 1), 278: (4, height), 279: (4, len(strip)),
    }  # fmt: skip
    entries |= {tag: (kind, value) for tag, kind, value in tags.values()}
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, (kind, value) in sorted(entries.items())
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + directory + bytes(4)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def zeros(count: int) -> bytes:
    """`count` zero bytes as zlib compresses them, made without ever holding them in memory."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & (1 << 20) - 1)), packer.flush()])
