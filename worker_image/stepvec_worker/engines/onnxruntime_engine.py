"""ONNX Runtime: the same weights in float32, from a file that it reads on any processor. Only this imports it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from stepvec.errors import ConfigurationError
from stepvec.rows.model import ModelCard
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.onnx_graph import INPUT, OUTPUT, build_onnx
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""What its builds for Linux and macOS read when they load: otherwise they tell Microsoft, over HTTPS, of each session
(https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md)."""


def import_onnxruntime() -> ModuleType:
    """The module onnxruntime, told to report nothing. Raises ConfigurationError where it cannot be loaded."""
    # Before the import, which may send a first event already; and nobody's environment turns it on again.
    os.environ.update(NO_TELEMETRY)
    try:
        # A fifth of a second: only when a network is really loaded.
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigurationError(
            f"ONNX Runtime cannot be loaded: {error}.",
            remedy="Install requirements/worker.txt. The GPU image has no ONNX Runtime: use engine mxnet there.",
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(model: bytes) -> Any:
    """An InferenceSession of the ONNX file `model`, on one thread of this CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    # One process for each vCPU embeds more than one with as many threads (docs/decisions/0002).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Errors are raised all the same; a log of its own is nobody's here.
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class ONNXRuntimeEmbedder(Embedder):
    """A session with the array that is its input."""

    def __init__(self, session: Any, card: ModelCard, pixel_format: PixelFormat, batch_size: int) -> None:
        super().__init__(card, pixel_format, batch_size, "onnxruntime float32")
        self._session = session
        self._batch = np.zeros((batch_size, *pixel_format.shape), pixel_format.element)

    def _place(self, position: int, image: Pixels) -> None:
        self._batch[position] = image

    def _vectors(self) -> FloatArray:
        (vectors,) = self._session.run([OUTPUT], {INPUT: self._batch})
        return np.asarray(vectors, np.float32)


def load_onnxruntime(weights: Path, card: ModelCard, pixel_format: PixelFormat, batch_size: int) -> ONNXRuntimeEmbedder:
    """The network of `card` with the parameters in the file `weights`.

    Raises WeightsError for a file that does not hold the architecture, ConfigurationError where ONNX Runtime cannot be
    loaded.
    """
    import_onnxruntime()
    model = build_onnx(card.network, read_parameters(weights, card), pixel_format, batch_size)
    return ONNXRuntimeEmbedder(open_session(model), card, pixel_format, batch_size)
