"""Preparing images by an encoder's own recipe, as transformers and torchvision do, which is written anew here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare
from stepvec_worker.images.recipe_geometry import framed

from stepvec.rows.encoder import CropOffset, Recipe, Resample
from tests.golden.seeded import Array
from tests.worker.pictures import encoded

SIZES = [(640, 480), (481, 643), (300, 300), (256, 257), (1023, 257), (90, 70), (224, 3000)]
"""Width and height."""


def picture(width: int, height: int) -> Image.Image:
    """With edges, slopes and grain, and no symmetry."""
    random = np.random.RandomState(width * 31 + height)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = [np.sin(x / 7) * 60 + y / height * 120, (x // 13 + y // 29) % 2 * 200, np.hypot(x - width / 3, y) % 255]
    grain = random.normal(0, 15, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(channels, 2) + grain + 30, 0, 255).astype(np.uint8))


def recipe(
    resize: tuple[int, ...], crop: tuple[int, ...], resample: Resample = "bicubic", offset: CropOffset = "down"
) -> Recipe:
    return Recipe(resize, crop, resample, offset, "rgb", 1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def as_transformers(image: Image.Image, size: dict[str, int], crop: int | None, resample: int) -> Array:
    """resize() and center_crop() of transformers/image_transforms.py, on Pillow and numpy as there."""
    if "shortest_edge" in size:
        short, long = sorted(image.size)
        new_short, new_long = size["shortest_edge"], int(size["shortest_edge"] * long / short)
        width, height = (new_short, new_long) if image.width <= image.height else (new_long, new_short)
    else:
        width, height = size["width"], size["height"]
    array = np.array(image.resize((width, height), resample=Image.Resampling(resample), reducing_gap=None))
    if crop is None:
        return array
    top, left = (array.shape[0] - crop) // 2, (array.shape[1] - crop) // 2
    return array[top : top + crop, left : left + crop]


def as_torchvision(image: Image.Image, size: int, crop: int, resample: int) -> Array:
    """Resize(size) and CenterCrop(crop) of torchvision.transforms on a Pillow image, which is what timm composes."""
    width, height = image.size
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = size, int(size * long / short)
    new = (new_short, new_long) if width <= height else (new_long, new_short)
    image = image.resize(new, Image.Resampling(resample))
    top, left = round((image.height - crop) / 2.0), round((image.width - crop) / 2.0)
    return np.asarray(image.crop((left, top, left + crop, top + crop)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "number"), [("nearest", 0), ("lanczos", 1), ("bilinear", 2), ("bicubic", 3), ("box", 4)]
)
def test_pixels_are_transformers(size: tuple[int, int], name: Any, number: int) -> None:
    image = picture(*size)

    by_short_side = framed(image, 1, recipe((256,), (224, 224), name))
    squeezed = framed(np.asarray(image), 1, recipe((384, 384), (), name))

    np.testing.assert_array_equal(by_short_side, as_transformers(image, {"shortest_edge": 256}, 224, number))
    np.testing.assert_array_equal(squeezed, as_transformers(image, {"height": 384, "width": 384}, None, number))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("resized", "crop"), [(248, 224), (256, 224), (257, 224), (518, 518)])
def test_pixels_are_timms(size: tuple[int, int], resized: int, crop: int) -> None:
    image = picture(*size)
    found = framed(image, 1, recipe((resized,), (crop, crop), "bicubic", "even"))
    np.testing.assert_array_equal(found, as_torchvision(image, resized, crop, 3))


def test_the_two_crops_differ_where_the_middle_is_between_pixels() -> None:
    image = picture(640, 480)
    down, even = (framed(image, 1, recipe((227,), (224, 224), offset=offset)) for offset in ("down", "even"))
    assert np.abs(down.astype(int) - even.astype(int)).max() > 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_lies_as_its_camera_was_held(orientation: int) -> None:
    image = picture(400, 300)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = as_transformers(upright.convert("RGB"), {"shortest_edge": 256}, 224, 3)

    found = prepare(data, DecodeLimits(), recipe((256,), (224, 224)))

    np.testing.assert_array_equal(found, expected)


def test_jpegs_are_decoded_whole() -> None:
    """standard-1 decodes large ones at half their size, which is another preprocessing."""
    data = encoded(picture(2400, 1800), "JPEG", quality=92)
    expected = as_transformers(Image.open(io.BytesIO(data)), {"shortest_edge": 256}, 224, 3)
    np.testing.assert_array_equal(prepare(data, DecodeLimits(), recipe((256,), (224, 224))), expected)


def test_a_line_of_pixels_does_not_fill_the_memory() -> None:
    """Resized to a height of 256, an image of 4,000,000 x 1 would have 260 gigapixels."""
    line = Image.new("RGB", (4_000_000, 1), (10, 200, 30))
    found = framed(line, 1, recipe((256,), (224, 224)))
    assert found.shape == (224, 224, 3)
    assert (found == (10, 200, 30)).all()
