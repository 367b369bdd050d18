"""EXIF orientation: undone by standard-1, ignored by sample-1, harmless where it is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare

from tests.worker.pictures import encoded, scene

LIMITS = DecodeLimits()


def turned(orientation: int) -> Image.Image:
    """The scene as a camera stores it that notes `orientation`: what the tag says undoes this."""
    transposes = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = scene(640, 480)
    return image if orientation == 1 else image.transpose(transposes[orientation])


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int, format_: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if format_ in ("PNG", "TIFF") else {"quality": 98}
    upright = prepare(encoded(scene(640, 480), format_, **options), LIMITS, "standard-1")

    pixels = prepare(encoded(turned(orientation), format_, exif=exif, **options), LIMITS, "standard-1")

    assert np.abs(pixels.astype(int) - upright).max() < 13
    if orientation != 1:
        plain = prepare(encoded(turned(orientation), format_, **options), LIMITS, "standard-1")
        assert np.abs(plain.astype(int) - upright).max() > 64


def test_the_sample_looks_at_no_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    with_tag, without = (
        prepare(encoded(scene(), "JPEG", **options), LIMITS, "sample-1") for options in ({"exif": exif}, {})
    )

    np.testing.assert_array_equal(with_tag, without)


ORIENTATION_ENTRY = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0no TIFF header",
        b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 30,
        pytest.param(ORIENTATION_ENTRY + b"\x02\0\x04\0\0\0abcd\0\0\0\0", id="a text"),
        pytest.param(ORIENTATION_ENTRY + b"\x05\0\x01\0\0\0\x08\0\0\0\0\0\0\0", id="a fraction"),
        pytest.param(ORIENTATION_ENTRY + b"\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0", id="9"),
    ],
)
def test_damaged_exif_does_not_cost_the_image(exif: bytes) -> None:
    np.testing.assert_array_equal(
        prepare(encoded(scene(), "JPEG", exif=exif), LIMITS, "standard-1"),
        prepare(encoded(scene(), "JPEG"), LIMITS, "standard-1"),
    )


def test_exif_that_raises_does_not_cost_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def getexif(_: object) -> None:
        raise SyntaxError("not a TIFF file")

    data = encoded(scene(), "JPEG")
    expected = prepare(data, LIMITS, "standard-1")
    monkeypatch.setattr(Image.Image, "getexif", getexif)

    np.testing.assert_array_equal(prepare(data, LIMITS, "standard-1"), expected)
