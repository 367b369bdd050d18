"""An encoder of its user's own: model.onnx, with the numbers that its recipe makes of pixels.

ONNX Runtime computes it in float32, OpenVINO in int8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from stepvec.errors import WeightsError
from stepvec.rows.encoder import Encoder
from stepvec.rows.model import CALIBRATION_FILE, ModelCard, Precision
from stepvec.weights.model_directory import REMAKE_REMEDY
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.onnxruntime_engine import open_session
from stepvec_worker.engines.openvino_engine import possible, read_calibration
from stepvec_worker.engines.openvino_runtime import PRODUCTS, describe, layer_precisions
from stepvec_worker.engines.own_graph import Computation, quantised, read_graph
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

_LEAST_NORM: Final = 1e-12
"""A vector shorter than this is not made longer: it has no direction."""


Compute = Callable[[Any], FloatArray]
"""The network itself: an array of images as it takes them, to its output."""


class OwnEncoder(Embedder):
    """A network, with arrays of as many images as it takes at a time."""

    def __init__(
        self, compute: Compute, card: ModelCard, encoder: Encoder, batch_size: int, running: str = "onnxruntime float32"
    ) -> None:
        recipe = encoder.recipe
        super().__init__(card, PixelFormat(*recipe.size, "uint8"), batch_size, running)
        self._compute, self._encoder = compute, encoder
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
        outputs = [self._compute(batch) for batch in self._batches]
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


def load_own(weights: Path, card: ModelCard, encoder: Encoder, batch_size: int, precision: Precision) -> OwnEncoder:
    """The encoder of `card`, whose ONNX file is `weights`, in float32 or int8.

    Raises WeightsError where it is not loaded, or its calibration is another's.
    """
    if precision == "float32":
        session = open_own(weights.read_bytes(), str(weights))
        return OwnEncoder(by_session(session, encoder), card, encoder, batch_size)
    layers = read_calibration(weights.with_name(CALIBRATION_FILE), card).layers
    graph = read_graph(weights.read_bytes(), encoder, encoder.batch or batch_size)
    if possible(precision) == "int8":
        graph = quantised(graph, layers)
    computation = Computation(graph)
    running = describe(layer_precisions(computation.compiled, PRODUCTS), "layers")
    return OwnEncoder(computation, card, encoder, batch_size, running)


def by_session(session: Any, encoder: Encoder) -> Compute:
    """The network of ONNX Runtime's `session`."""
    return lambda batch: np.asarray(session.run([encoder.output], {encoder.input: batch})[0])


def open_own(model: bytes, where: str) -> Any:
    """A session of the file `model`, as bytes: what it says of other files is not followed. Raises WeightsError."""
    try:
        return open_session(model)
    except Exception as error:  # each of its errors is an Exception of its own, of one base class
        problem = str(error).splitlines()[0][:200]
        raise WeightsError(f"ONNX Runtime does not load {where}: {problem}", remedy=REMAKE_REMEDY) from error
