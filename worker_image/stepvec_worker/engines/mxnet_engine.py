"""MXNet, the reference: the networks of Gluon as static graphs, float32, on CPU or GPU. Only this imports MXNet."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from stepvec.errors import ConfigurationError, DeviceError, WeightsError
from stepvec.rows.model import Architecture, ModelCard
from stepvec.weights.model_directory import REMAKE_REMEDY
from stepvec_worker.engines.embedder import Embedder, FloatArray, normalisation
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "MXNET_CPU_WORKER_NTHREADS": "1",
    "MXNET_SUBGRAPH_VERBOSE": "0",
}
"""What MXNet and its OpenMP read when they load; what the operator has set already stays.

One thread a process: a process for each vCPU embeds more images than one process with a thread for each, whose
threads wait for each other as soon as the machine has anything else to do.
"""


def import_mxnet() -> ModuleType:
    """The module mxnet. Raises ConfigurationError where it cannot be loaded, naming what is usually missing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        # Seconds and hundreds of MB: only when a network is really loaded.
        return importlib.import_module("mxnet")
    except (ImportError, AttributeError, OSError) as error:
        # AttributeError: numpy 1.24 removed np.bool, which MXNet 1.9.1 uses; OSError: a shared library is missing.
        raise ConfigurationError(
            f"MXNet cannot be loaded: {error}.",
            remedy="It needs x86-64, numpy 1.23.5, and the libraries libgomp1 and libquadmath0: the worker's image.",
        ) from error


def device_context(device: str) -> Any:
    """MXNet's context for `device`, "cpu" or "gpu" (the first one).

    Raises DeviceError where MXNet sees no GPU, ConfigurationError for another name.
    """
    mxnet = import_mxnet()
    if device == "cpu":
        return mxnet.cpu()
    if device != "gpu":
        raise ConfigurationError(f"Device {device!r} is unknown.", remedy='Use "cpu" or "gpu".')
    if _gpus(mxnet) == 0:
        raise DeviceError(
            "No GPU is there for MXNet.",
            remedy="Use --device cpu, or run the GPU image (MXNet's CUDA build) on an instance with an NVIDIA GPU.",
        )
    return mxnet.gpu(0)


def _gpus(mxnet: ModuleType) -> int:
    try:
        return int(mxnet.context.num_gpus())
    except mxnet.MXNetError as error:
        # A CUDA build on a machine without a driver raises instead of counting none.
        raise DeviceError(
            f"MXNet cannot count the GPUs: {error}.", remedy="Use --device cpu, or check the NVIDIA driver."
        ) from error


class MXNetEmbedder(Embedder):
    """A Gluon network under `card`'s weights, compiled for `batch_size` images."""

    def __init__(self, network: Any, card: ModelCard, context: Any, pixel_format: PixelFormat, batch_size: int) -> None:
        super().__init__(card, pixel_format, batch_size, "mxnet float32")
        self._network = network
        self._normalisation = normalisation(card.network)
        self._batch = np.zeros((batch_size, 3, pixel_format.height, pixel_format.width), np.float32)
        # MXNet's own memory, into which each batch is copied. It could share numpy's (from_numpy), and would then call
        # Python from one of its threads to give it back: a fork at that moment waits for that thread, and never ends.
        self._input = import_mxnet().nd.zeros(self._batch.shape, ctx=context)

    def _place(self, position: int, image: Pixels) -> None:
        target, scale, offset = self._batch[position], self._normalisation.scale, self._normalisation.offset
        # A channel at a time: the transposition costs nothing, and no copy of the whole is made.
        for channel in range(3):
            np.multiply(image[:, :, channel], scale[channel], out=target[channel])
            target[channel] += offset[channel]

    def _vectors(self) -> FloatArray:
        self._input[:] = self._batch
        return np.asarray(self._network(self._input).asnumpy(), np.float32)


def load_mxnet(
    weights: Path, card: ModelCard, device: str, pixel_format: PixelFormat, batch_size: int
) -> MXNetEmbedder:
    """The network of `card` with the parameters in the file `weights`, on `device`, its graph built.

    Raises WeightsError for a file that does not hold the architecture, ConfigurationError where MXNet cannot be
    loaded, DeviceError where there is no GPU.
    """
    context = device_context(device)
    network = build_network(card.network, (pixel_format.height, pixel_format.width))
    try:
        network.load_parameters(str(weights), ctx=context)
    except (AssertionError, ValueError, import_mxnet().MXNetError) as error:
        raise WeightsError(
            f"{weights} does not hold {card.network}: {str(error)[:200]}.", remedy=REMAKE_REMEDY
        ) from error
    _compile(network, card.network, context, (batch_size, 3, pixel_format.height, pixel_format.width))
    return MXNetEmbedder(network, card, context, pixel_format, batch_size)


def build_network(architecture: Architecture, size: tuple[int, int]) -> Any:
    """The Gluon block of `architecture` for images of `size` (height, width), without weights."""
    import_mxnet()
    # Imported here: its classes are subclasses of MXNet's own.
    from stepvec_worker.engines.gluon_networks import EfficientNetLite0Features, ResNet18Features

    if architecture == "efficientnet_lite0":
        return EfficientNetLite0Features(size)
    return ResNet18Features(2 if architecture == "resnet18_v2" else 1)


def _compile(network: Any, architecture: Architecture, context: Any, batch_shape: tuple[int, ...]) -> None:
    static = {"static_alloc": True, "static_shape": True}
    if architecture == "efficientnet_lite0" and context.device_type == "cpu":
        # oneDNN folds BatchNorm and ReLU6 into the convolutions: 75 instead of 21 images a CPU-second, vectors
        # within 1e-5. ResNet18 gains nothing from it, and keeps the plain graph.
        network.hybridize()
        example = import_mxnet().nd.zeros(batch_shape, ctx=context)
        network.optimize_for(example, backend="MKLDNN", **static)
    else:
        network.hybridize(**static)
