from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.decoding import DecodeLimits, ImageRejected, decode
from stepvec_worker.pixels import PixelFormat
from stepvec_worker.preprocessing import pixel_format, prepare, preprocess

from stepvec.model import PREPROCESSINGS, Preprocessing
from stepvec.outcome import FailureReason
from tests.worker.pictures import encoded, photos, scene

LIMITS = DecodeLimits()


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_the_format_is_the_one_announced(preprocessing: Preprocessing) -> None:
    for size in ((60, 40), (40, 60), (1, 1), (1, 300), (3000, 7), (224, 244), (256, 256)):
        pixels = preprocess(Image.new("RGB", size, "teal"), preprocessing)

        assert pixels.shape == pixel_format(preprocessing).shape, size
        assert pixels.dtype == pixel_format(preprocessing).element


def test_the_two_formats() -> None:
    assert pixel_format("standard-1") == PixelFormat(224, 224, "uint8")
    assert pixel_format("sample-1") == PixelFormat(244, 224, "float32")


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_pixels_are_not_normalised(preprocessing: Preprocessing) -> None:
    pixels = preprocess(Image.new("RGB", (300, 260), (255, 0, 51)), preprocessing)

    np.testing.assert_allclose(pixels, np.broadcast_to([255, 0, 51], pixels.shape), atol=1e-3)


def test_standard_is_the_central_square_of_seven_eighths() -> None:
    # Of a 512 x 256 picture the square of 224 in the middle, pixel by pixel.
    pixels = np.random.RandomState(1).randint(0, 256, (256, 512, 3)).astype(np.uint8)

    middle = preprocess(Image.fromarray(pixels), "standard-1")

    np.testing.assert_array_equal(middle, pixels[16:240, 144:368])


def test_standard_is_antialiased() -> None:
    # A checkerboard of single pixels is grey from afar; without antialiasing it would stay black and white.
    board = np.indices((1120, 1120)).sum(0) % 2 * 255
    image = Image.fromarray(board.astype(np.uint8)).convert("RGB")

    assert np.abs(preprocess(image, "standard-1").astype(float) - 127).max() < 13
    assert np.abs(preprocess(image, "sample-1") - 127).max() > 115


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_a_failing_conversion_rejects_the_image(preprocessing: Preprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: object, **__: object) -> None:
        raise ValueError("conversion from CMYK to RGB not supported")

    data = encoded(scene().convert("CMYK"), "JPEG")
    monkeypatch.setattr(Image.Image, "convert", convert)

    with pytest.raises(ImageRejected) as caught:
        prepare(data, LIMITS, preprocessing)
    assert caught.value.reason is FailureReason.UNSUPPORTED


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_preparing_rejects_what_decoding_rejects(preprocessing: Preprocessing) -> None:
    with pytest.raises(ImageRejected) as caught:
        prepare(b"text", LIMITS, preprocessing)
    assert caught.value.reason is FailureReason.NOT_AN_IMAGE


def test_decoding_small_changes_little() -> None:
    for path in photos(every=100):
        large = Image.open(path).convert("RGB").resize((2100, 2800), Image.Resampling.BICUBIC)
        data = encoded(large, "JPEG", quality=92)
        assert decode(data, LIMITS, short_side=512).size == (525, 700)

        small = prepare(data, LIMITS, "standard-1").astype(float)
        full = preprocess(decode(data, LIMITS), "standard-1")

        # In units of the 256 levels.
        assert np.abs(small - full).mean() < 1.0, path.name


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_a_known_picture_keeps_its_numbers(preprocessing: Preprocessing) -> None:
    """What a name means must never change: these are the numbers of its first day."""
    pixels = prepare(encoded(scene(640, 480), "PNG"), LIMITS, preprocessing)
    # The numbers were taken after the normalisation of ImageNet's models.
    normalised = ((pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)

    expected = np.array(FIRST_DAY[preprocessing].split(), float)
    np.testing.assert_allclose(normalised[:, ::74, ::74].ravel(), expected, atol=0.02)


FIRST_DAY = {
    "standard-1": """
        -1.36 -0.42 0.54 1.48 -1.36 -0.42 0.54 1.48 -1.36 -0.42 0.54 1.48 -1.36 -0.42 0.54 1.48
        -1.76 -1.76 -1.76 -1.76 -0.46 -0.46 -0.46 -0.46 0.84 0.84 0.84 0.84 2.13 2.13 2.13 2.13 0.17
        -0.31 -1.63 -1.8 1.39 0.64 -1.53 -1.8 -1.63 -1.67 -1.79 -1.8 -1.8 -1.8 -1.8 -1.8
    """,
    "sample-1": """
        -1.43 -0.45 0.55 1.54 -1.43 -0.45 0.55 1.54 -1.43 -0.45 0.55 1.54 -1.43 -0.45 0.55 1.54
        -2.03 -2.03 -2.03 -2.03 -0.67 -0.67 -0.67 -0.67 0.67 0.67 0.67 0.67 2.04 2.04 2.04 2.04
        -0.73 -0.9 -1.71 -1.8 1.69 1.13 -1.5 -1.8 -1.52 -1.57 -1.79 -1.8 -1.8 -1.8 -1.8 -1.8
    """,
}
