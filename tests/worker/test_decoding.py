"""Every reason for which an image gets no vector, from real bytes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from stepvec_worker.images import decoding
from stepvec_worker.images.decoding import DecodeLimits, decode
from stepvec_worker.images.rejection import ImageRejected

from stepvec.runs.outcome import FailureReason
from tests.worker.pictures import encoded, scene

LIMITS = DecodeLimits()
JPEG = encoded(scene(), "JPEG")
PNG = encoded(scene(), "PNG")


def rejected(data: bytes, limits: DecodeLimits = LIMITS) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits)
    return caught.value


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_decoded(format_: str) -> None:
    assert decode(encoded(scene(), format_), LIMITS).size == (60, 40)


def test_a_phones_multi_picture_jpeg_is_a_jpeg() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[scene()])

    image = decode(data, LIMITS)

    assert image.format == "MPO"
    assert image.size == (60, 40)


def test_no_bytes_are_empty() -> None:
    assert rejected(b"").reason is FailureReason.EMPTY


@pytest.mark.parametrize(
    "data", [b"hello, I am text called x.jpg", b"BM, a text that begins so", b"P6, a text", b"II*"]
)
def test_other_bytes_are_not_an_image(data: bytes) -> None:
    error = rejected(data)

    assert error.reason is FailureReason.NOT_AN_IMAGE
    assert error.message == "No decoder knows these bytes."


def test_decoders_that_nobody_asked_for_are_not_reached() -> None:
    for format_ in ("PPM", "PCX", "SGI", "ICO", "EPS", "DDS", "PDF", "QOI"):
        assert rejected(encoded(scene(), format_)).reason is FailureReason.UNSUPPORTED, format_
    assert rejected(encoded(scene(), "TGA")).reason is FailureReason.NOT_AN_IMAGE  # it has no signature


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
        (b"8BPS" + bytes(40), "Photoshop"),
    ],
)
def test_images_of_other_formats_are_unsupported_by_name(data: bytes, name: str) -> None:
    error = rejected(data)

    assert error.reason is FailureReason.UNSUPPORTED
    assert name in error.message
    assert "Convert it to one of JPEG" in error.message


def test_a_form_that_the_decoder_lacks_is_unsupported() -> None:
    bitmap = bytearray(encoded(scene(), "BMP"))
    bitmap[28:30] = struct.pack("<H", 7)  # bits a pixel

    error = rejected(bytes(bitmap))

    assert error.reason is FailureReason.UNSUPPORTED
    assert "Unsupported BMP pixel depth (7)" in error.message


def test_a_form_that_is_found_only_on_opening_is_unsupported_in_the_decoders_words() -> None:
    image = bytearray(encoded(scene().convert("L"), "TIFF"))
    at = image.index(struct.pack("<HHI", 258, 3, 1))  # bits a sample
    image[at + 8 : at + 10] = struct.pack("<H", 7)
    error = rejected(bytes(image))
    assert error.reason is FailureReason.UNSUPPORTED
    assert "unknown pixel mode" in error.message


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_image_that_breaks_off_is_truncated(format_: str, share: float) -> None:
    data = encoded(scene(200, 150), format_)

    error = rejected(data[: int(len(data) * share)])

    assert error.reason is FailureReason.TRUNCATED
    assert "object at 0x" not in error.message


def test_damage_inside_is_damaged() -> None:
    damaged = bytearray(PNG)
    damaged[len(damaged) // 2] ^= 0xFF

    assert rejected(bytes(damaged)).reason is FailureReason.DAMAGED


def test_half_an_image_is_never_taken_for_a_whole_one() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_too_many_bytes_are_too_large() -> None:
    error = rejected(JPEG, DecodeLimits(bytes=len(JPEG) - 1))

    assert error.reason is FailureReason.TOO_LARGE
    decode(JPEG, DecodeLimits(bytes=len(JPEG)))


def test_too_many_pixels_are_too_large() -> None:
    error = rejected(PNG, DecodeLimits(pixels=60 * 40 - 1))

    assert error.reason is FailureReason.TOO_LARGE
    assert error.message == "60 x 40 = 2,400 pixels; max_image_pixels is 2,399."
    decode(PNG, DecodeLimits(pixels=60 * 40))


def png_of(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_001, 20_000, 60_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)

    assert rejected(png_of(side, side)).reason is FailureReason.TOO_LARGE


def test_a_decoder_that_allocates_as_it_opens_is_stopped_before() -> None:
    data = bytearray(encoded(scene(), "WEBP", save_all=True, append_images=[scene().convert("L")]))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = b"\xfe\x3f\0" * 2  # 16,383 x 16,383, less one each

    error = rejected(bytes(data))

    assert error.reason is FailureReason.TOO_LARGE
    assert f"max_image_pixels is {LIMITS.pixels:,}" in error.message
    # Pillow's own guard: ours comes only after the decoder has taken 1 GB.
    assert isinstance(error.__cause__, Image.DecompressionBombError)


def test_a_gif_that_grows_with_its_first_frame_is_too_large() -> None:
    data = bytearray(encoded(scene(), "GIF"))
    descriptor = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 60, 40))
    data[descriptor + 5 : descriptor + 9] = struct.pack("<HH", 65535, 65535)

    assert rejected(bytes(data)).reason is FailureReason.TOO_LARGE


def test_a_text_that_unpacks_to_too_much_is_refused() -> None:
    bomb = zlib.compress(b"a" * 100_000_000)
    body = b"Comment\0\0" + bomb
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    end_of_header = 8 + 25

    error = rejected(PNG[:end_of_header] + chunk + PNG[end_of_header:])

    assert error.reason is FailureReason.TOO_LARGE
    assert "too large" in error.message


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (MemoryError(), FailureReason.TOO_LARGE),
        (Image.DecompressionBombError("bomb"), FailureReason.TOO_LARGE),
        (NotImplementedError("tiled"), FailureReason.UNSUPPORTED),
        (OSError("decoder jpeg2k not available"), FailureReason.UNSUPPORTED),
        (OSError("image file is truncated"), FailureReason.TRUNCATED),
        (SyntaxError("not a TIFF file"), FailureReason.DAMAGED),
        (struct.error("unpack requires a buffer"), FailureReason.TRUNCATED),
        (EOFError(), FailureReason.TRUNCATED),
        (IndexError("index out of range"), FailureReason.DAMAGED),
        (ZeroDivisionError("division by zero"), FailureReason.DAMAGED),
        (RecursionError("maximum recursion depth"), FailureReason.DAMAGED),
    ],
)
def test_whatever_a_decoder_raises_becomes_a_reason(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, reason: FailureReason
) -> None:
    def load(_: object) -> None:
        raise raised

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)

    error = rejected(JPEG)

    assert error.reason is reason
    assert error.message
    assert error.__cause__ is raised


def test_bytes_flipped_anywhere_never_raise_anything_else() -> None:
    random = np.random.RandomState(0)
    for format_ in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encoded(scene(), format_)
        for _ in range(150):
            broken = bytearray(whole)
            for place in random.randint(0, len(whole), 3):
                broken[place] = random.randint(256)
            try:
                decode(bytes(broken), LIMITS)
            except ImageRejected as error:
                assert error.message  # noqa: PT017 - most flips give an image after all


def test_a_large_jpeg_is_decoded_small_but_never_smaller_than_asked() -> None:
    data = encoded(scene(1500, 1100), "JPEG")

    assert decode(data, LIMITS).size == (1500, 1100)
    assert decode(data, LIMITS, short_side=512).size == (750, 550)
    assert decode(data, LIMITS, short_side=551).size == (1500, 1100)
    assert decode(data, LIMITS, short_side=100).size == (188, 138)


def test_only_jpeg_is_decoded_small() -> None:
    assert decode(encoded(scene(1500, 1100), "PNG"), LIMITS, short_side=100).size == (1500, 1100)


def test_an_animation_is_its_first_frame() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    for format_ in ("GIF", "WEBP", "PNG"):
        data = encoded(first, format_, save_all=True, append_images=[second])
        assert Image.open(io.BytesIO(data)).n_frames == 2, format_  # type: ignore[attr-defined]

        red, _, blue = decode(data, LIMITS).convert("RGB").getpixel((4, 4))  # type: ignore[misc]

        assert red > 200, format_
        assert blue < 50, format_


def test_the_list_of_formats_has_no_decoder_with_a_program_of_its_own() -> None:
    assert set(decoding.FORMATS) == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"}
