"""Both libraries that resize give the same pixels, so that a vector does not depend on the processor."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.engines import load_embedder
from stepvec_worker.images import standard_geometry
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, prepare
from stepvec_worker.images.resizing import RESIZINGS, Square, by_cykooz, by_pillow, resized

from stepvec.rows.processors import processor_of
from tests.conftest import ROOT
from tests.golden.seeded import Array

PHOTOS = sorted((ROOT / "photos" / "wardrobe").glob("*/*.jpg"))[::6]
MIN_COSINE = 0.9999
ON_X86_64 = pytest.mark.skipif(processor_of(platform.machine()) != "x86_64", reason="compares with cykooz-resizer")

SQUARES = [
    ((512, 384), Square(80.0, 24.0, 336.0)),
    ((801, 603), Square(136.6875, 37.6875, 527.625)),
    ((225, 900), Square(14.0625, 351.5625, 196.875)),
    ((3, 2), Square(0.625, 0.125, 1.75)),
    ((1, 1), Square(0.0625, 0.0625, 0.875)),
    ((300, 300), Square(0.0, 0.0, 300.0)),
]


def noise(width: int, height: int) -> Array:
    return np.random.RandomState(3).randint(0, 256, (height, width, 3)).astype(np.uint8)


def test_each_processor_has_the_one_that_it_can_have() -> None:
    assert {"x86_64": by_cykooz, "arm64": by_pillow} == RESIZINGS


@ON_X86_64
@pytest.mark.parametrize(("size", "square"), SQUARES)
def test_both_give_the_same_pixels(size: tuple[int, int], square: Square) -> None:
    picture = noise(*size)
    by_one, by_other = by_cykooz(picture, square, 224), by_pillow(picture, square, 224)
    difference = np.abs(by_one.astype(int) - by_other.astype(int))
    assert by_other.shape == (224, 224, 3)
    assert by_other.dtype == np.uint8
    assert difference.max() <= 1
    # Where the passes are in the other order, it is one of ten, and photos' cosines are below .9998.
    assert (difference > 0).mean() <= 0.01


@pytest.mark.parametrize(("size", "square"), SQUARES)
def test_pillows_takes_arrays_and_images_alike(size: tuple[int, int], square: Square) -> None:
    picture = noise(*size)
    of_array = by_pillow(picture, square, 100)
    np.testing.assert_array_equal(of_array, by_pillow(Image.fromarray(picture), square, 100))
    # Only part of an array's rows, as the caller hands them over.
    np.testing.assert_array_equal(of_array, by_pillow(np.concatenate([picture, picture])[: size[1]], square, 100))


def test_an_edge_that_rounding_puts_outside_is_the_pictures_own() -> None:
    picture = noise(7, 7)
    beyond = Square(0.1, 0.1, 6.9 + 1e-9)
    np.testing.assert_array_equal(by_pillow(picture, beyond, 50), by_pillow(picture, Square(0.1, 0.1, 6.9), 50))


@ON_X86_64
def test_vectors_are_the_same_by_either(efficientnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = load_embedder(efficientnet, "cpu", pixel_format("standard-1"), len(PHOTOS), engine="onnxruntime")
    vectors = []
    for resizing in (by_cykooz, by_pillow):
        monkeypatch.setattr(standard_geometry, "resized", resizing)
        vectors.append(embedder.embed([prepare(path.read_bytes(), DecodeLimits(), "standard-1") for path in PHOTOS]))
    one, other = (np.asarray(each) / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors)
    assert len(PHOTOS) >= 10
    assert (one * other).sum(axis=1).min() >= MIN_COSINE


def test_this_machine_resizes_by_its_own() -> None:
    picture, square = noise(400, 300), Square(20.0, 10.0, 250.0)
    np.testing.assert_array_equal(
        resized(picture, square, 224), RESIZINGS[processor_of(platform.machine())](picture, square, 224)
    )
