"""What vectors are for: the same picture, prepared in another way, stays near; another picture does not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.engines import Embedder, load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, prepare

from stepvec.rows.item import VectorItem, VectorType
from stepvec.rows.vectors import decode_vector, encode_vector
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


@pytest.mark.parametrize(("data_type", "nearest"), [("float16", 0.9999), ("int8", 0.999)])
def test_a_smaller_type_keeps_the_vectors_of_real_photos(
    embedder: Embedder, data_type: VectorType, nearest: float
) -> None:
    exact = vectors(embedder, [path.read_bytes() for path in photos(every=16)])
    encoded = [encode_vector(vector, data_type) for vector in exact]
    stored = [
        VectorItem("i", each.data, data_type, exact.shape[1], datetime.now(UTC), "k", "e", "m", "r", scale=each.scale)
        for each in encoded
    ]

    assert cosines(np.stack([decode_vector(item) for item in stored]), exact).min() >= nearest
