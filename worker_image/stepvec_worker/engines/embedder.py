"""What every engine shares: pixels in, vectors out, and the normalisation that each network was trained with.

Sources of the normalisation: torchvision's and Gluon's ImageNet models (0..1: mean 0.485, 0.456, 0.406, deviation
0.229, 0.224, 0.225); the TensorFlow TPU repository's efficientnet/lite for EfficientNet-Lite0 (0..255: mean 127,
deviation 128).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvec.errors import ConfigurationError
from stepvec.rows.model import Architecture, ModelCard
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

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


class Embedder(ABC):
    """A loaded network. Not safe to call from two threads at a time.

    `card` says which model it is, `dimension` how many numbers a vector has, `pixel_format` what an image must look
    like, `batch_size` how many images one call takes at the most, `running` which engine computes, and how exactly.
    """

    def __init__(self, card: ModelCard, pixel_format: PixelFormat, batch_size: int, running: str) -> None:
        self.card = card
        self.dimension = card.dimension
        self.pixel_format = pixel_format
        self.batch_size = batch_size
        self.running = running

    def embed(self, pixels: Sequence[Pixels]) -> FloatArray:
        """Vectors, (N, dimension) float32, of 1 <= N <= batch_size images: RGB, (H, W, 3), 0..255.

        The network always sees the whole batch size, since another one would build the static graph anew; an image's
        vector is the same, bit for bit, whatever else is in its batch. Raises ConfigurationError for images of
        another format, for none and for too many.
        """
        wanted = (self.pixel_format.shape, self.pixel_format.element)
        found = {(image.shape, image.dtype.name) for image in pixels}
        if found != {wanted} or len(pixels) > self.batch_size:
            raise ConfigurationError(
                f"A batch has {len(pixels)} images of {sorted(found)}, "
                f"but this model takes 1 to {self.batch_size} images of {wanted}.",
                remedy="Prepare images with the preprocessing that the model was loaded for.",
            )
        for position, image in enumerate(pixels):
            self._place(position, image)
        return self._vectors()[: len(pixels)].copy()

    @abstractmethod
    def _place(self, position: int, image: Pixels) -> None:
        """Copy `image` into the batch, which keeps what a smaller batch does not overwrite: no image sees another."""

    @abstractmethod
    def _vectors(self) -> FloatArray:
        """(batch_size, dimension) float32 of the whole batch; may be overwritten by the next call."""
