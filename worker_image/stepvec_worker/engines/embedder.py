"""What every engine offers: pixels in, vectors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepvec.errors import ConfigurationError
from stepvec.rows.model import DIMENSIONS, ModelCard
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

FloatArray = NDArray[np.float32]


class Embedder(ABC):
    """A loaded network. Not safe to call from two threads at a time.

    `card` says which model it is, `dimension` how many numbers a vector has, `pixel_format` what an image must look
    like, `batch_size` how many images one call takes at the most, `running` which engine computes, and how exactly.
    """

    def __init__(self, card: ModelCard, pixel_format: PixelFormat, batch_size: int, running: str) -> None:
        self.card = card
        self.dimension = DIMENSIONS[card.architecture]
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
