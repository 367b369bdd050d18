"""The fast JPEG path: the pixels are Pillow's, and so is every refusal."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile
from stepvec_worker.images import decoding, jpeg
from stepvec_worker.images.decoding import Decoded, DecodeLimits, decode, decode_fast
from stepvec_worker.images.jpeg import jpeg_scale
from stepvec_worker.images.jpeg_structure import read_structure
from stepvec_worker.images.preprocessing import DECODED_SHORT_SIDE, prepare, preprocess
from stepvec_worker.images.rejection import ImageRejected

from stepvec.rows.model import PREPROCESSINGS
from tests.golden.seeded import Array
from tests.worker.pictures import encoded, photos, scene

LIMITS = DecodeLimits()


def noisy(width: int, height: int) -> Image.Image:
    """The scene with detail down to the single pixel."""
    noise = np.random.RandomState(3).normal(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(scene(width, height)) + noise, 0, 255).astype(np.uint8))


FORMS: dict[str, bytes] = {
    "4:2:0": encoded(noisy(801, 603), "JPEG", quality=90),
    "4:2:2": encoded(noisy(603, 801), "JPEG", subsampling=1),
    "4:4:4": encoded(noisy(800, 600), "JPEG", subsampling=0),
    "progressive": encoded(noisy(801, 603), "JPEG", progressive=True),
    "grey": encoded(noisy(801, 603).convert("L"), "JPEG"),
    "RGB inside": encoded(noisy(801, 603), "JPEG", keep_rgb=True),
    "restart markers": encoded(noisy(801, 603), "JPEG", restart_marker_rows=1),
    "MPO": encoded(noisy(801, 603), "MPO", save_all=True, append_images=[scene()]),
    "one pixel": encoded(noisy(1, 1), "JPEG"),
    "a line": encoded(noisy(3000, 1), "JPEG"),
}
"""Every form of JPEG that the fast path reads."""


def rgb_by_pillow(data: bytes, short_side: int | None) -> Array:
    return np.asarray(decode(data, LIMITS, short_side=short_side).convert("RGB"))


@pytest.mark.parametrize("short_side", [None, 301, 300, 150, 75])
@pytest.mark.parametrize("form", FORMS)
def test_its_pixels_are_pillows(form: str, short_side: int | None) -> None:
    decoded = decode_fast(FORMS[form], LIMITS, short_side=short_side)

    assert decoded.rgb is not None
    expected = rgb_by_pillow(FORMS[form], short_side)
    np.testing.assert_array_equal(decoded.rgb, expected)
    assert decoded.size == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
@pytest.mark.parametrize("form", FORMS)
def test_what_the_network_sees_does_not_depend_on_the_decoder(form: str, preprocessing: Any) -> None:
    short_side = DECODED_SHORT_SIDE if preprocessing == "standard-1" else None
    by_pillow = preprocess(decode(FORMS[form], LIMITS, short_side=short_side), preprocessing)

    np.testing.assert_array_equal(prepare(FORMS[form], LIMITS, preprocessing), by_pillow)


def test_real_photos_too() -> None:
    for path in photos(every=80):
        data = path.read_bytes()
        for short_side in (None, 200, 100):
            decoded = decode_fast(data, LIMITS, short_side=short_side)

            assert decoded.rgb is not None, path.name
            np.testing.assert_array_equal(decoded.rgb, rgb_by_pillow(data, short_side), err_msg=path.name)


def test_the_scale_is_the_largest_that_leaves_enough() -> None:
    assert jpeg_scale((4032, 3024), 376) == 8
    assert jpeg_scale((3024, 4032), 379) == 4
    assert jpeg_scale((800, 600), 376) == 1
    assert jpeg_scale((800, 600), 300) == 2
    assert jpeg_scale((801, 601), 301) == 1
    assert jpeg_scale((40_000, 40_000), 1) == 8
    assert jpeg_scale((4032, 3024), None) == 1


def test_it_is_really_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise AssertionError("Pillow decoded it")

    # A file's own; resizing may load the picture that simplejpeg decoded.
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for data in FORMS.values():
        prepare(data, LIMITS, "standard-1")


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_pillows(format_: str) -> None:
    decoded = decode_fast(encoded(scene(), format_), LIMITS)
    assert decoded.rgb is None
    assert decoded.size == (60, 40)


def test_cmyk_is_pillows() -> None:
    decoded = decode_fast(encoded(scene().convert("CMYK"), "JPEG"), LIMITS)
    assert decoded.rgb is None
    assert decoded.image.mode == "CMYK"


def outcome(data: bytes, *, is_fast: bool, limits: DecodeLimits = LIMITS) -> tuple[str, str] | Array:
    """Reason and message of the refusal, or the pixels."""
    try:
        decoded = decode_fast(data, limits) if is_fast else Decoded(decode(data, limits))
    except ImageRejected as error:
        return error.reason.value, error.message
    return decoded.rgb if decoded.rgb is not None else np.asarray(decoded.image.convert("RGB"))


def test_broken_files_end_as_pillow_ends_them() -> None:
    random = np.random.RandomState(5)
    small = noisy(161, 123)
    forms = {
        "4:2:0": encoded(small, "JPEG"),
        "progressive": encoded(small, "JPEG", progressive=True),
        "grey": encoded(small.convert("L"), "JPEG"),
        "restart markers": encoded(small, "JPEG", restart_marker_rows=1),
        "MPO": encoded(small, "MPO", save_all=True, append_images=[scene()]),
    }
    refused = 0
    for form, whole in forms.items():
        cuts = [whole[: int(len(whole) * share)] for share in (0.01, 0.02, 0.1, 0.5, 0.9, 0.999)]
        for data in [*cuts, whole[:-2], whole[:-1], whole + b"more", *(flipped(whole, random) for _ in range(60))]:
            fast, slow = outcome(data, is_fast=True), outcome(data, is_fast=False)
            refused += isinstance(slow, tuple)
            np.testing.assert_array_equal(fast, slow, err_msg=form)
    assert refused > 30


def flipped(data: bytes, random: np.random.RandomState) -> bytes:
    broken = bytearray(data)
    # Half of the flips in the first kilobyte, where the tables and sizes are.
    for end in (1000, len(data)):
        broken[random.randint(2, end)] = random.randint(256)
    return bytes(broken)


def test_oddities_that_libjpeg_warns_about_and_that_cost_no_pixel_are_read_over() -> None:
    # Bytes before a marker: libjpeg warns, Pillow goes on. The fast decoder alone would refuse it.
    whole = FORMS["4:4:4"]
    damaged = whole[:-2] + b"\0" * 50 + whole[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(damaged)

    decoded = decode_fast(damaged, LIMITS)

    assert decoded.rgb is None
    np.testing.assert_array_equal(np.asarray(decoded.image), rgb_by_pillow(damaged, None))


def test_too_many_pixels_are_refused_before_any_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_jpeg(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(decoding, "read_jpeg", read_jpeg)
    # Set by decode() for all of Pillow, and put back after the test.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    limits = DecodeLimits(pixels=801 * 603 - 1)

    assert outcome(FORMS["4:2:0"], is_fast=True, limits=limits) == outcome(FORMS["4:2:0"], is_fast=False, limits=limits)


def test_a_size_that_only_one_of_the_two_parsers_sees_is_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_jpeg_header(_: bytes) -> tuple[int, int, str, str]:
        return 60_000, 60_000, "YCbCr", "420"

    def decode_jpeg(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", decode_jpeg_header)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decode_jpeg)
    header = Image.open(io.BytesIO(FORMS["4:2:0"]))
    structure = read_structure(FORMS["4:2:0"])
    assert structure is not None

    assert jpeg.read_jpeg(FORMS["4:2:0"], header, structure, 1).rgb is None
