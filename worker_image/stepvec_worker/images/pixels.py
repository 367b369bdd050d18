"""Pixels as they pass from the preprocessing to the network: what an image is between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.float32]
"""RGB, (height, width, 3), 0..255, not normalised: what the network was trained to subtract is its own matter."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Height, width and element type of every image that a preprocessing gives."""

    height: int
    width: int
    element: Literal["uint8", "float32"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image."""
        return self.height, self.width, 3
