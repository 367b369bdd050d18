"""An encoder of its user's own: model.onnx, by ONNX Runtime, with the numbers that its recipe makes of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from stepvec.errors import WeightsError
from stepvec.rows.encoder import Encoder
from stepvec.rows.model import ModelCard
from stepvec.weights.model_directory import REMAKE_REMEDY
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.onnxruntime_engine import open_session
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

_LEAST_NORM: Final = 1e-12
"""A vector shorter than this is not made longer: it has no direction."""


class OwnEncoder(Embedder):
    """A session, with arrays of as many images as the network takes at a time."""

    def __init__(self, session: Any, card: ModelCard, encoder: Encoder, batch_size: int) -> None:
        recipe = encoder.recipe
        super().__init__(card, PixelFormat(*recipe.size, "uint8"), batch_size, "onnxruntime float32")
        self._session, self._encoder = session, encoder
        at_once = encoder.batch or batch_size
        shape = (at_once, *encoder.image_shape)
        self._batches = [np.zeros(shape, encoder.element) for _ in range(0, batch_size, at_once)]
        self._at_once = at_once
        deviation = np.array(recipe.std)
        self._scale = (recipe.scale / deviation).astype(np.float32)
        self._offset = (-np.array(recipe.mean) / deviation).astype(np.float32)

    def _place(self, position: int, image: Pixels) -> None:
        target = self._batches[position // self._at_once][position % self._at_once]
        if self._encoder.recipe.channels == "bgr":
            image = image[:, :, ::-1]
        for channel in range(3):
            plane = target[channel] if self._encoder.layout == "NCHW" else target[:, :, channel]
            if self._encoder.element == "uint8":
                plane[:] = image[:, :, channel]
            else:
                np.multiply(image[:, :, channel], self._scale[channel], out=plane)
                plane += self._offset[channel]

    def _vectors(self) -> FloatArray:
        encoder = self._encoder
        outputs = [self._session.run([encoder.output], {encoder.input: batch})[0] for batch in self._batches]
        vectors = pooled(np.concatenate(outputs).astype(np.float32, copy=False), encoder)
        if encoder.l2:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST_NORM)
        return vectors[: self.batch_size]


def pooled(output: FloatArray, encoder: Encoder) -> FloatArray:
    """(N, dimension) of an output: (N, D), (N, D, 1, 1); with pooling (N, T, D), or maps, (N, D, H, W)."""
    if output.ndim == 3:
        output = output[:, 0] if encoder.pooling == "first" else np.mean(output, axis=1)
    elif output.ndim == 4:
        output = np.mean(output, axis=(2, 3))
    return output


def load_own(weights: Path, card: ModelCard, encoder: Encoder, batch_size: int) -> OwnEncoder:
    """The encoder of `card`, whose ONNX file is `weights`. Raises WeightsError where ONNX Runtime does not load it."""
    return OwnEncoder(open_own(weights.read_bytes(), str(weights)), card, encoder, batch_size)


def open_own(model: bytes, where: str) -> Any:
    """A session of the file `model`, as bytes: what it says of other files is not followed. Raises WeightsError."""
    try:
        return open_session(model)
    except Exception as error:  # each of its errors is an Exception of its own, of one base class
        problem = str(error).splitlines()[0][:200]
        raise WeightsError(f"ONNX Runtime does not load {where}: {problem}", remedy=REMAKE_REMEDY) from error
