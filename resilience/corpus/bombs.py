"""Small files that cost whoever decodes them much memory or time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from resilience.corpus.encoders import (
    EMBEDDED,
    HostileImage,
    encoded,
    hostile,
    jpeg_segment,
    png,
    png_chunk,
    scene,
    tiff,
    zeros,
)

_ANY = (EMBEDDED, "Truncated", "Damaged", "Unsupported", "TooLarge", "TimedOut")
"""For files of which nobody can say what is right: what counts is that they get an outcome, within the limits."""


def bombs() -> Iterator[HostileImage]:
    """The bombs that take a few seconds to make."""
    yield from _too_many_pixels()
    yield from _sizes_at_the_edge()
    yield from _hidden_in_metadata()
    yield from _endless()
    yield from _animations()


def large_bombs() -> Iterator[HostileImage]:
    """Bombs that take long to make or to decode, and the largest pictures that the worker takes. For `make corpus`."""
    side = 8_000  # squared, the worker's 64 megapixels
    yield hostile("largest-rgba.png", png(side, side, zeros(side * (side * 4 + 1)), colour=6), EMBEDDED)
    yield hostile("largest-grey-16.png", png(side, side, zeros(side * (side * 2 + 1)), depth=16), EMBEDDED)
    yield hostile("largest-grey-alpha.png", png(side, side, zeros(side * (side * 2 + 1)), colour=4), EMBEDDED)
    progressive = encoded(scene(side, side), "JPEG", progressive=True, quality=90, subsampling=0)
    yield hostile("largest-progressive.jpg", progressive, EMBEDDED)
    for mode in ("CMYK", "LAB", "F", "I", "RGBA"):
        packed = encoded(Image.new(mode, (side, side)), "TIFF", compression="tiff_lzw")
        yield hostile(f"largest-{mode.lower()}.tif", packed, EMBEDDED)
    for name, samples, photometric in (("rgb", 3, 2), ("cmyk", 4, 5)):
        yield hostile(f"largest-{name}-16.tif", _deep_tiff(side, samples, photometric), EMBEDDED, "Unsupported")
    yield hostile("large.webp", encoded(Image.new("RGB", (9_000, 7_000)), "WEBP", lossless=True, method=0), EMBEDDED)
    yield hostile("too-large.webp", encoded(Image.new("RGB", (9_000, 7_200)), "WEBP", method=0), "TooLarge")
    yield hostile("chunks.png", png(8, 8, zeros(72), extra=png_chunk(b"abCd", b"") * 5_000_000), EMBEDDED, "TimedOut")
    yield hostile("bomb-grey.png", png(30_000, 30_000, zeros(900_030_000)), "TooLarge")
    yield hostile("300-megabytes.jpg", encoded(scene(), "JPEG") + bytes(300 * 1024 * 1024), "TooLarge")
    yield hostile("zeros.gif", b"GIF89a" + bytes(60 * 1024 * 1024), *_ANY)


def _too_many_pixels() -> Iterator[HostileImage]:
    yield hostile("bomb.png", png(20_000, 20_000, zeros(20_000 * 2_501), depth=1), "TooLarge")
    yield hostile("bomb-header.png", png(2**31 - 1, 2**31 - 1, zeros(99)), "TooLarge")
    yield hostile("bomb.tif", encoded(Image.new("1", (20_000, 20_000)), "TIFF", compression="group4"), "TooLarge")
    yield hostile("bomb.gif", encoded(Image.new("1", (12_000, 12_000)), "GIF"), "TooLarge")
    grown = bytearray(encoded(scene(), "GIF"))
    descriptor = grown.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 60, 40))
    grown[descriptor + 5 : descriptor + 9] = struct.pack("<HH", 65_535, 65_535)
    yield hostile("bomb-frame.gif", bytes(grown), "TooLarge")
    for side in (8_100, 16_384):  # above the worker's limit, and above Pillow's own
        yield hostile(f"bomb-canvas-{side}.webp", _webp_canvas(side), "TooLarge")
    yield hostile("bomb.bmp", _bitmap(60_000, 60_000, b"\0\1"), "TooLarge")
    yield hostile("bomb.jpg", _resized_jpeg(65_500, 65_500), "TooLarge")


def _sizes_at_the_edge() -> Iterator[HostileImage]:
    yield hostile("wide.jpg", encoded(scene(65_500, 8), "JPEG"), EMBEDDED)
    yield hostile("wide.png", encoded(scene(65_535, 1), "PNG"), EMBEDDED)
    yield hostile("high.png", encoded(scene(1, 65_535), "PNG"), EMBEDDED)
    yield hostile("wide.webp", encoded(scene(16_383, 1), "WEBP"), EMBEDDED)
    yield hostile("wide.gif", encoded(scene(65_535, 1), "GIF"), EMBEDDED)
    yield hostile("wide.tif", encoded(scene(65_535, 2), "TIFF"), EMBEDDED)
    yield hostile("wider.png", png(64_000_000, 1, zeros(8_000_001), depth=1), EMBEDDED)
    for format_ in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        yield hostile(f"one-pixel.{format_.lower()}", encoded(scene(1, 1), format_), EMBEDDED)
    yield hostile("nothing.png", png(0, 0, zeros(0)), "Damaged")
    yield hostile("nothing.jpg", _resized_jpeg(0, 0), "Damaged", "Unsupported")
    yield hostile("nothing.gif", b"GIF89a" + bytes(7) + b",\0\0\0\0\0\0\0\0\0\2\0;", "Damaged")
    yield hostile("nothing.bmp", _bitmap(0, 0, b"\0\1"), "Truncated")
    yield hostile("nothing.tif", tiff(0, 0, b"\0"), "Damaged")


def _hidden_in_metadata() -> Iterator[HostileImage]:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zeros(100_000_000))
    yield hostile("text-bomb.png", png(8, 8, zeros(72), extra=text), "Truncated", "TooLarge")
    profile = png_chunk(b"iCCP", b"icc\0\0" + zeros(100_000_000))
    yield hostile("profile-bomb.png", png(8, 8, zeros(72), extra=profile), EMBEDDED, "Truncated", "Damaged", "TooLarge")
    # Thousands of tags that all point to the same bytes: read one by one they would be gigabytes.
    exif = struct.pack("<2sHIH", b"II", 42, 8, 20_000)
    exif += b"".join(struct.pack("<HHII", 1000 + tag, 7, 240_000, 0) for tag in range(20_000)) + bytes(4)
    yield hostile("exif-bomb.png", png(8, 8, zeros(72), extra=png_chunk(b"eXIf", exif)), EMBEDDED)
    short = exif[:8] + struct.pack("<H", 5_000) + exif[10:60_010]
    body = encoded(scene(), "JPEG")
    yield hostile("exif-bomb.jpg", body[:2] + jpeg_segment(0xE1, b"Exif\0\0" + short) + body[2:], EMBEDDED)
    tags = {f"t{tag}": (tag, 4, 9) for tag in range(1_000, 40_000)}
    yield hostile("tags.tif", tiff(8, 8, bytes(64), **tags), EMBEDDED)
    yield hostile("talkative.tif", talkative_tiff(4_000), EMBEDDED)
    yield hostile("segments.jpg", body[:2] + jpeg_segment(0xFE, b"") * 4_000_000 + body[2:], "TooLarge")
    comment = b"\x21\xfe" + (b"\xff" + b"c" * 255) * 65_536 + b"\0"
    picture = encoded(Image.new("L", (8, 8)), "GIF")
    colours = 13 + 3 * (2 << (picture[10] & 7)) if picture[10] & 0x80 else 13
    yield hostile("comment.gif", picture[:colours] + comment + picture[colours:], EMBEDDED)
    yield hostile("chunks-small.png", png(8, 8, zeros(72), extra=png_chunk(b"abCd", b"") * 100_000), EMBEDDED)


def _endless() -> Iterator[HostileImage]:
    progressive = encoded(Image.new("RGB", (8_000, 8_000)), "JPEG", progressive=True)
    last = progressive.rfind(b"\xff\xc4", 0, progressive.rfind(b"\xff\xda"))
    endless = progressive[:-2] + progressive[last:-2] * 2_000 + b"\xff\xd9"
    yield hostile("scans.jpg", endless, "TooLarge")
    # Codes of 9 bits, all "clear": a decoder that counts on progress has none.
    codes = bytes([0, 1, 2, 4, 8, 16, 32, 64, 128] * 255 * 4_000)
    clear = b"\x08" + b"".join(b"\xff" + codes[at : at + 255] for at in range(0, len(codes), 255)) + b"\0;"
    screen = struct.pack("<6sHHBBB", b"GIF89a", 500, 500, 0xF7, 0, 0) + bytes(768)
    yield hostile("clear-codes.gif", screen + b"," + struct.pack("<HHHHB", 0, 0, 500, 500, 0) + clear, "Truncated")
    codes = bytes([128, 64, 32, 16, 8, 4, 2, 1, 0] * 1_000_000)
    yield hostile("clear-codes.tif", tiff(4_000, 4_000, codes, lzw=(259, 3, 5)), "Damaged", EMBEDDED)
    yield hostile("runs.tif", tiff(7_000, 7_000, b"\x81\0" * 4_000_000, packed=(259, 3, 32_773)), *_ANY)
    # Moves of 255 rows of 60,000 pixels each, two bytes a move.
    yield hostile("moves.bmp", _bitmap(60_000, 1_000, b"\0\2\xff\xff" * 100_000 + b"\0\1"), *_ANY)
    yield hostile("wide-moves.bmp", _bitmap(64_000_000, 1, b"\0\2\xff\xff" * 1_000 + b"\0\1"), *_ANY)
    yield hostile("loop.tif", _directory_loop(), EMBEDDED, "Truncated")


def _animations() -> Iterator[HostileImage]:
    frames = [Image.new("P", (64, 64), colour % 256) for colour in range(1_000)]
    yield hostile("animated.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), EMBEDDED)
    few = [Image.new("RGB", (64, 64), (colour, 0, 0)) for colour in range(50)]
    for format_ in ("PNG", "WEBP", "TIFF"):
        data = encoded(few[0], format_, save_all=True, append_images=few[1:])
        yield hostile(f"animated.{format_.lower()}", data, EMBEDDED)
    said = encoded(few[0], "PNG", save_all=True, append_images=few[1:])
    control = said.index(b"acTL")
    body = struct.pack(">II", 2**31 - 1, 0)
    forged = said[: control - 4] + png_chunk(b"acTL", body) + said[control + 16 :]
    yield hostile("frames-said.png", forged, EMBEDDED, "Truncated")


def talkative_tiff(tags: int) -> bytes:
    """A TIFF for whose every tag, up to 4,096, libtiff prints two lines of 140 characters to standard error."""
    whole = encoded(Image.new("L", (8, 8)), "TIFF", compression="tiff_lzw")
    with Image.open(io.BytesIO(whole)) as image:
        (start,), (length,) = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    of_no_type = {f"t{tag}": (tag, 0, 9) for tag in range(56_000, 56_000 + tags)}
    return tiff(8, 8, whole[start : start + length], compression=(259, 3, 5), **of_no_type)


def _webp_canvas(side: int) -> bytes:
    data = bytearray(encoded(scene(), "WEBP", save_all=True, append_images=[scene().convert("L")]))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = (side - 1).to_bytes(3, "little") * 2
    return bytes(data)


def _resized_jpeg(width: int, height: int) -> bytes:
    data = bytearray(encoded(scene(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _bitmap(width: int, height: int, runs: bytes) -> bytes:
    """A BMP of 8 bits, run-length encoded."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024) + header + bytes(1024) + runs


def _deep_tiff(side: int, samples: int, photometric: int) -> bytes:
    """16 bits a sample, whose depths lie before the strip's end as the format wants them."""
    strip = zlib.compress(bytes(side * 2 * samples)) if side < 1_000 else zeros(side * side * 2 * samples)
    data = tiff(side, side, strip, compression=(259, 3, 8), colours=(262, 3, photometric), samples=(277, 3, samples))
    entry = data.index(struct.pack("<HHI", 258, 3, 1))
    depths = struct.pack("<HHII", 258, 3, samples, len(data))
    return data[:entry] + depths + data[entry + 12 :] + struct.pack(f"<{samples}H", *[16] * samples)


def _directory_loop() -> bytes:
    data = bytearray(tiff(8, 8, bytes(64)))
    data[-4:] = struct.pack("<I", struct.unpack("<I", data[4:8])[0])
    return bytes(data)
