"""Weights and images that every environment makes alike: from numpy's frozen RandomState, one seed a name."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def seeded_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """A torch state dict for `shapes`, scaled so that 18 layers neither explode nor die."""
    return {name: _seeded_array(name, shape) for name, shape in shapes.items()}


def _seeded_array(name: str, shape: tuple[int, ...]) -> Array:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) == 4:
        values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("running_var", "weight")) and len(shape) == 1:
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.standard_normal(shape) * 0.1
    return np.asarray(values, np.float32)


def seeded_images(seed: int, count: int, height: int, width: int) -> Array:
    """(count, 3, height, width) float32, about as large as normalised photos: blocks of 16 pixels plus noise."""
    random = np.random.RandomState(seed)
    coarse = random.standard_normal((count, 3, -(-height // 16), -(-width // 16))).repeat(16, 2).repeat(16, 3)
    noise = random.standard_normal((count, 3, height, width))
    return (0.8 * coarse[:, :, :height, :width] + 0.3 * noise).astype(np.float32)
