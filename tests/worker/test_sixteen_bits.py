"""Colour pictures of 10 to 14 bits in 16, as cameras and scanners give them, are not nearly black."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from stepvec_worker.images.colours import to_rgb
from stepvec_worker.images.decoding import DecodeLimits, decode

Values = NDArray[np.uint16]
LIMITS = DecodeLimits()
RGB, RGBA, GREY = 2, 6, 0


def png(values: Values, colour_type: int, significant_bits: int | None = None) -> bytes:
    """A PNG of 16 bits a sample; `values` is (H, W, channels)."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    said = [] if significant_bits is None else [(b"sBIT", bytes([significant_bits] * channels))]
    chunks = [(b"IHDR", header), *said, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def tiff(values: Values, *, order: str = "<", is_deflated: bool = False, white: int | None = None) -> bytes:
    """An RGB TIFF of 16 bits a sample, in one strip."""
    height, width, channels = values.shape
    strip = values.astype(f"{order}u2").tobytes()
    strip = zlib.compress(strip) if is_deflated else strip
    tags = [(256, 4, width), (257, 4, height), (258, 3, channels), (259, 3, 8 if is_deflated else 1), (262, 3, 2)]
    tags += [(273, 4, 0), (277, 3, channels), (278, 4, height), (279, 4, len(strip)), (284, 3, 1)]
    tags += [] if white is None else [(281, 3, white)]
    tags.sort()
    behind = 8 + 2 + 12 * len(tags) + 4
    directory = b""
    for tag, kind, value in tags:
        if tag == 258:
            directory += struct.pack(f"{order}HHII", tag, kind, channels, behind)
        elif kind == 3:
            directory += struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0)
        else:
            directory += struct.pack(f"{order}HHII", tag, kind, 1, behind + 2 * channels if tag == 273 else value)
    start = b"II*\0" if order == "<" else b"MM\0*"
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    return start + struct.pack(f"{order}IH", 8, len(tags)) + directory + struct.pack(f"{order}I", 0) + bits + strip


def ramp(white: int, channels: int = 3) -> Values:
    """From black to `white` in each channel."""
    return np.repeat(np.linspace(0, white, 256).astype(np.uint16)[None, :, None], channels, axis=2)


def seen(data: bytes) -> list[int]:
    """The reds of the first row at black, the middle and white."""
    reds: list[int] = np.asarray(to_rgb(decode(data, LIMITS)))[0, [0, 128, 255], 0].tolist()
    return reds


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_colour_png_of_fewer_bits_has_its_brightness(bits: int) -> None:
    assert seen(png(ramp(2**bits - 1), RGB)) == [0, 128, 255]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_deflated", [False, True])
def test_a_colour_tiff_of_12_bits_has_its_brightness(order: str, is_deflated: bool) -> None:
    assert seen(tiff(ramp(4_095), order=order, is_deflated=is_deflated)) == [0, 128, 255]


def test_each_value_is_the_nearest_one_of_8_bits() -> None:
    values = np.random.default_rng(0).integers(0, 1_024, (300, 200, 3)).astype(np.uint16)
    values[0, 0] = 1_023
    found = np.asarray(to_rgb(decode(png(values, RGB), LIMITS)))
    assert np.array_equal(found, np.rint(values * (255 / 1_023)).astype(np.uint8))


def test_sixteen_bits_that_are_used_stay_what_they_are() -> None:
    assert seen(png(ramp(65_535), RGB)) == [0, 128, 255]
    assert seen(png(ramp(30_000), RGB, 12)) == [0, 58, 117]


def test_what_a_file_says_of_its_white_counts_if_its_values_keep_to_it() -> None:
    assert seen(png(ramp(900), RGB, 12)) == [0, 28, 56]
    assert seen(png(ramp(900), RGB, 8)) == [0, 112, 224]
    assert seen(tiff(ramp(900), white=1_800)) == [0, 64, 128]
    assert seen(png(ramp(900, 1), GREY, 12)) == [0, 28, 56]
    assert seen(png(ramp(900, 1), GREY)) == [0, 112, 224]


def test_alpha_of_all_16_bits_stays_what_it_is_and_of_fewer_is_scaled_like_the_colours() -> None:
    values = ramp(4_095, 4)
    values[..., 3] = 65_535
    assert seen(png(values, RGBA)) == [0, 128, 255]
    values[..., 3] = 4_095
    assert seen(png(values, RGBA)) == [0, 128, 255]
    values[..., 3] = 0
    assert seen(png(values, RGBA)) == [255, 255, 255]
