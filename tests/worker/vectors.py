"""Vectors in tests: of more images than a batch holds, and as near to MXNet's as another engine's in float32 are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from stepvec_worker.engines import Embedder, load_embedder
from stepvec_worker.images.preprocessing import Pixels, pixel_format
from stepvec_worker.int8.calibration import cosines

from stepvec.rows.model import Engine, Preprocessing
from tests.golden.seeded import Array
from tests.worker.pictures import blocks


def vectors_of(embedder: Embedder, pixels: Sequence[Pixels]) -> Array:
    """(N, dimension), in the pixels' order."""
    size = embedder.batch_size
    return np.concatenate([embedder.embed(pixels[start : start + size]) for start in range(0, len(pixels), size)])


def check_vectors_are_mxnets(model: Path, engine: Engine, preprocessing: Preprocessing) -> None:
    """`engine`'s float32 vectors of three pictures are MXNet's, but for rounding."""
    format_ = pixel_format(preprocessing)
    pixels = blocks(format_, 3)
    expected = vectors_of(load_embedder(model, "cpu", format_, 3), pixels)

    embedder = load_embedder(model, "cpu", format_, 3, engine=engine)
    found = vectors_of(embedder, pixels)

    assert embedder.running == f"{engine} float32"
    assert found.dtype == np.float32
    assert cosines(found, expected).min() >= 0.99999
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
