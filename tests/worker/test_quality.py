"""What vectors are for: the same picture, prepared in another way, stays near; another picture does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.architectures import Embedder, load_embedder
from stepvec_worker.decoding import DecodeLimits
from stepvec_worker.preprocessing import pixel_format, prepare

from tests.golden.seeded import Array
from tests.worker.pictures import cosines, encoded, photos

mx = pytest.importorskip("mxnet", reason="needs MXNet, which only the worker's environment has")

LIMITS = DecodeLimits()


def vectors(embedder: Embedder, files: list[bytes]) -> Array:
    pixels = [prepare(data, LIMITS, "standard-1") for data in files]
    parts = [embedder.embed(pixels[i : i + embedder.batch_size]) for i in range(0, len(pixels), embedder.batch_size)]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def embedder(efficientnet: Path) -> Embedder:
    return load_embedder(efficientnet, "cpu", pixel_format("standard-1"), 8)


def test_a_photo_that_says_how_it_was_held_is_near_the_upright_one(embedder: Embedder) -> None:
    upright, turned, untold = [], [], []
    for path in photos(every=100):
        image = Image.open(path).convert("RGB")
        sideways = image.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        upright.append(encoded(image, "JPEG", quality=92))
        turned.append(encoded(sideways, "JPEG", quality=92, exif=exif))
        untold.append(encoded(sideways, "JPEG", quality=92))
    expected = vectors(embedder, upright)

    assert cosines(vectors(embedder, turned), expected).min() >= 0.98
    assert cosines(vectors(embedder, untold), expected).mean() < 0.95


def test_decoding_a_large_photo_small_keeps_its_vector(embedder: Embedder) -> None:
    large, full = [], []
    for path in photos(every=100):
        image = Image.open(path).convert("RGB").resize((2100, 2800), Image.Resampling.BICUBIC)
        large.append(encoded(image, "JPEG", quality=92))
        full.append(
            encoded(
                Image.open(path.parent / path.name).convert("RGB").resize((2100, 2800), Image.Resampling.BICUBIC), "PNG"
            )
        )

    assert cosines(vectors(embedder, large), vectors(embedder, full)).min() >= 0.98
