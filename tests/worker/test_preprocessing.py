from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits, decode_fast
from stepvec_worker.images.preprocessing import DECODED_SHORT_SIDE, PixelFormat, pixel_format, prepare, preprocess
from stepvec_worker.images.rejection import ImageRejected

from stepvec.rows.model import PREPROCESSINGS, Preprocessing
from stepvec.runs.outcome import FailureReason
from tests.worker.pictures import cosines, encoded, photos, scene

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


@pytest.mark.parametrize("size", [(1195, 896), (1792, 2389)])
def test_decoding_small_changes_little(size: tuple[int, int]) -> None:
    # The least short side that a scale leaves, where it is at its worst.
    data = encoded(textured(*size), "JPEG", quality=90)
    small, full = decode_fast(data, LIMITS, short_side=DECODED_SHORT_SIDE), decode_fast(data, LIMITS)
    assert full.size == size
    assert min(small.size) == DECODED_SHORT_SIDE

    difference = prepare(data, LIMITS, "standard-1").astype(int) - preprocess(full.image, "standard-1", rgb=full.rgb)

    assert np.abs(difference).mean() < 2.5
    assert np.abs(difference).max() < 20


def textured(width: int, height: int) -> Image.Image:
    """The scene with noise of every size, as much of each: what photos look like to a filter (1/f)."""
    random = np.random.RandomState(6)
    pixels = np.asarray(scene(width, height)).astype(np.float32)
    for step in (1, 2, 4, 8, 16, 32, 64):
        noise = Image.fromarray(random.normal(0, 8, (-(-height // step), -(-width // step))).astype(np.float32))
        pixels += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def test_decoding_small_leaves_the_vectors_of_real_photos(efficientnet: Path) -> None:
    """The full measurement, of more photos and sizes, is bench/decoding.py's."""
    embedder = load_embedder(efficientnet, "cpu", pixel_format("standard-1"), batch_size=2, engine="onnxruntime")
    similarities = []
    for number, path in enumerate(photos(every=100)):
        image = Image.open(path).convert("RGB")
        factor = (2.3, 3.5, 4.6, 9.1)[number % 4]
        large = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.BICUBIC)
        data = encoded(large, "JPEG", quality=90)
        full = decode_fast(data, LIMITS)
        pair = prepare(data, LIMITS, "standard-1"), preprocess(full.image, "standard-1", rgb=full.rgb)
        vectors = embedder.embed(pair)
        similarities.append(float(cosines(vectors[:1], vectors[1:])[0]))
    assert np.mean(similarities) >= 0.995
    assert min(similarities) >= 0.98
    assert min(similarities) < 0.99999  # something was scaled at all


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_a_known_picture_keeps_its_numbers(preprocessing: Preprocessing) -> None:
    """What a name means must never change: these are the numbers of its first day."""
    pixels = prepare(encoded(scene(640, 480), "PNG"), LIMITS, preprocessing)

    expected = np.array(FIRST_DAY[preprocessing].split(), float)
    # One level more or less of 8 bits: the instructions differ from processor to processor.
    tolerance = 1 if preprocessing == "standard-1" else 0.01
    np.testing.assert_allclose(pixels[::74, ::74].ravel(), expected, atol=tolerance)


FIRST_DAY = {
    "standard-1": """
        44 16 113 99 16 86 155 16 10 210 16 0 44 90 183 99 90 140 155 90 16 210 90 0
        44 164 10 99 164 8 155 164 1 210 164 0 44 238 0 99 238 0 155 238 0 210 238 0
    """,
    "sample-1": """
        40.10 0.55 61.46 97.64 0.55 51.74 155.58 0.55 5.47 213.46 0.55 0.00
        40.10 77.92 200.52 97.64 77.92 168.56 155.58 77.92 17.44 213.46 77.92 0.00
        40.10 154.68 16.24 97.64 154.68 13.40 155.58 154.68 1.00 213.46 154.68 0.00
        40.10 232.66 0.00 97.64 232.66 0.00 155.58 232.66 0.00 213.46 232.66 0.00
    """,
}
