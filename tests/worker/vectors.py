"""The vectors of more images than a batch holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from stepvec_worker.engines import Embedder
from stepvec_worker.images.preprocessing import Pixels

from tests.golden.seeded import Array


def vectors_of(embedder: Embedder, pixels: Sequence[Pixels]) -> Array:
    """(N, dimension), in the pixels' order."""
    size = embedder.batch_size
    return np.concatenate([embedder.embed(pixels[start : start + size]) for start in range(0, len(pixels), size)])
