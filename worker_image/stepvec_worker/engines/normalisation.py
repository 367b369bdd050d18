"""What each architecture was trained to subtract from pixels, and to divide them by.

Sources: torchvision's and Gluon's ImageNet models (0..1: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225); the
TensorFlow TPU repository's efficientnet/lite for EfficientNet-Lite0 (0..255: mean 127, deviation 128).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvec.rows.model import Architecture

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """pixel * scale + offset, a number for each of red, green and blue, for pixels of 0..255."""

    scale: FloatArray
    offset: FloatArray


_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)


def normalisation(architecture: Architecture) -> Normalisation:
    """What the images of `architecture`'s training went through."""
    if architecture == "efficientnet_lite0":
        mean, deviation = np.array([127.0] * 3), np.array([128.0] * 3)
    else:
        mean, deviation = 255 * np.array(_IMAGENET_MEAN), 255 * np.array(_IMAGENET_DEVIATION)
    return Normalisation((1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32))
