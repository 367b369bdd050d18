"""standard-1's arithmetic against a plain one of float64, and against itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.images.standard_geometry import central_square, upright

from tests.golden.seeded import Array
from tests.worker.pictures import scene


def triangle(size: int, start: float, length: float) -> Array:
    """(224, size) weights: a triangle filter as wide as the reduction, clipped at the picture's edge."""
    ratio = length / 224
    support = max(ratio, 1.0)
    centres = start + (np.arange(224) + 0.5) * ratio
    weights = np.maximum(0, 1 - np.abs(np.arange(size)[None] + 0.5 - centres[:, None]) / support)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def reference(pixels: Array) -> Array:
    height, width = pixels.shape[:2]
    side = min(width, height) * 224 / 256
    across = triangle(width, (width - side) / 2, side)
    down = triangle(height, (height - side) / 2, side)
    return np.asarray(np.einsum("yhc,xh->yxc", np.tensordot(down, pixels.astype(np.float64), 1), across, optimize=True))


SIZES = [(256, 256), (512, 512), (400, 533), (533, 400), (801, 603), (225, 900), (100, 80), (3, 2), (1, 1), (1, 300)]


@pytest.mark.parametrize("size", SIZES)
def test_the_square_is_the_triangle_filters(size: tuple[int, int]) -> None:
    noise = np.random.RandomState(2).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)

    square = central_square(noise)

    assert square.shape == (224, 224, 3)
    assert square.dtype == np.uint8
    difference = np.abs(square - reference(noise))
    # 8 bits between the two passes, and weights of whole numbers.
    assert difference.max() < 2
    assert difference.mean() < 0.5


@pytest.mark.parametrize("size", SIZES)
def test_arrays_and_pillows_images_give_the_same(size: tuple[int, int]) -> None:
    noise = np.random.RandomState(4).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)

    np.testing.assert_array_equal(central_square(noise), central_square(Image.fromarray(noise)))


def test_a_square_of_the_final_size_keeps_its_pixels() -> None:
    noise = np.random.RandomState(1).randint(0, 256, (256, 512, 3)).astype(np.uint8)

    np.testing.assert_array_equal(central_square(noise), noise[16:240, 144:368])


@pytest.mark.parametrize("size", [(2000, 1537), (1537, 2000), (2801, 2703)])
def test_large_pictures_are_reduced_twice_to_nearly_the_same(size: tuple[int, int]) -> None:
    image = scene(*size)

    difference = np.abs(central_square(image) - reference(np.asarray(image)))

    assert difference.max() < 3
    assert difference.mean() < 0.5


@pytest.mark.parametrize(
    ("orientation", "transpose"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_270),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_90),
    ],
)
def test_turning_is_pillows(orientation: int, transpose: Image.Transpose) -> None:
    square = np.asarray(scene(224, 224))

    turned = upright(square, orientation)

    np.testing.assert_array_equal(turned, np.asarray(Image.fromarray(square).transpose(transpose)))
    assert turned.flags.c_contiguous


def test_other_orientations_turn_nothing() -> None:
    square = np.asarray(scene(224, 224))
    for orientation in (0, 1, 9, 65535):
        np.testing.assert_array_equal(upright(square, orientation), square)
