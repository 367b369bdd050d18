"""ONNX Runtime: the same weights, from a file that it reads on any processor, or by CUDA. Only this imports it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from stepvec.errors import ConfigurationError, DeviceError
from stepvec.rows.model import ModelCard, Precision
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.onnx_graph import INPUT, OUTPUT, build_onnx
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""What its builds for Linux and macOS read when they load: otherwise they tell Microsoft, over HTTPS, of each session
(https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md)."""


CUDA: Final = "CUDAExecutionProvider"
CUDA_OPTIONS: Final = {"use_tf32": "0"}
"""Float32 is to be float32: by default products are of 10 bits on the cards that can."""
_GPU_REMEDY: Final = (
    "Use --device cpu, or run the image gpu-onnxruntime on an instance with an NVIDIA GPU and driver 580 or newer."
)


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
            remedy="Install requirements/worker.txt. MXNet's GPU image has none: it is that of engine mxnet.",
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(model: bytes, device: str = "cpu") -> Any:
    """An InferenceSession of the ONNX file `model`, on one thread of this CPU, or on the first GPU (device "gpu").

    Raises DeviceError where the GPU cannot compute: ONNX Runtime itself would take the CPU, with a line in its log.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    # One process for each vCPU embeds more than one with as many threads (docs/decisions/0002).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Errors are raised all the same; a log of its own is nobody's here.
    options.log_severity_level = 4
    if device == "cpu":
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    if device != "gpu":
        raise ConfigurationError(f"Device {device!r} is unknown.", remedy='Use "cpu" or "gpu".')
    if CUDA not in onnxruntime.get_available_providers():
        raise DeviceError("This build of ONNX Runtime has no CUDA.", remedy=_GPU_REMEDY)
    # Finds CUDA's libraries in the packages that PyPI's wheels put them into.
    onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(model, options, providers=[(CUDA, CUDA_OPTIONS), "CPUExecutionProvider"])
    if CUDA not in session.get_providers():
        raise DeviceError("No GPU is there for ONNX Runtime, or no driver that CUDA 13 works with.", remedy=_GPU_REMEDY)
    return session


class ONNXRuntimeEmbedder(Embedder):
    """A session with the array that is its input."""

    def __init__(self, session: Any, card: ModelCard, pixel_format: PixelFormat, batch_size: int, running: str) -> None:
        super().__init__(card, pixel_format, batch_size, running)
        self._session = session
        self._batch = np.zeros((batch_size, *pixel_format.shape), pixel_format.element)

    def _place(self, position: int, image: Pixels) -> None:
        self._batch[position] = image

    def _vectors(self) -> FloatArray:
        (vectors,) = self._session.run([OUTPUT], {INPUT: self._batch})
        return np.asarray(vectors, np.float32)


def load_onnxruntime(
    weights: Path, card: ModelCard, device: str, precision: Precision, pixel_format: PixelFormat, batch_size: int
) -> ONNXRuntimeEmbedder:
    """The network of `card` with the parameters in the file `weights`, on `device`.

    Raises WeightsError for a file that does not hold the architecture, ConfigurationError where ONNX Runtime cannot be
    loaded, DeviceError where there is no GPU.
    """
    import_onnxruntime()
    parameters = read_parameters(weights, card)
    model = build_onnx(card.network, parameters, pixel_format, batch_size, is_half=precision == "float16")
    running = f"onnxruntime {precision}" + ("" if device == "cpu" else " by CUDA")
    if (device, precision) == ("cpu", "float16"):
        running = "onnxruntime float32 (weights of float16)"
    return ONNXRuntimeEmbedder(open_session(model, device), card, pixel_format, batch_size, running)
