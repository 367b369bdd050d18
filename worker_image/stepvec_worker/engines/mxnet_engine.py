"""MXNet, the reference: the networks of Gluon as static graphs, float32, on CPU or GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stepvec.errors import WeightsError
from stepvec.rows.model import Architecture, ModelCard
from stepvec_worker.engines.embedder import Embedder, FloatArray
from stepvec_worker.engines.model_files import REMEDY
from stepvec_worker.engines.mxnet_runtime import device_context, import_mxnet
from stepvec_worker.engines.normalisation import normalisation
from stepvec_worker.images.preprocessing import PixelFormat, Pixels


class MXNetEmbedder(Embedder):
    """A Gluon network under `card`'s weights, compiled for `batch_size` images."""

    def __init__(self, network: Any, card: ModelCard, context: Any, pixel_format: PixelFormat, batch_size: int) -> None:
        super().__init__(card, pixel_format, batch_size, "mxnet float32")
        self._network = network
        self._context = context
        self._normalisation = normalisation(card.architecture)
        self._batch = np.zeros((batch_size, 3, pixel_format.height, pixel_format.width), np.float32)
        # The same memory, seen by MXNet. from_numpy makes what it is given read-only: a view, so that ours is not.
        # Writing to it is safe between two calls, because _vectors waits for the result.
        self._input = import_mxnet().nd.from_numpy(self._batch.view())

    def _place(self, position: int, image: Pixels) -> None:
        target, scale, offset = self._batch[position], self._normalisation.scale, self._normalisation.offset
        # A channel at a time: the transposition costs nothing, and no copy of the whole is made.
        for channel in range(3):
            np.multiply(image[:, :, channel], scale[channel], out=target[channel])
            target[channel] += offset[channel]

    def _vectors(self) -> FloatArray:
        vectors = self._network(self._input.as_in_context(self._context)).asnumpy()
        return np.asarray(vectors, np.float32)


def load_mxnet(
    weights: Path, card: ModelCard, device: str, pixel_format: PixelFormat, batch_size: int
) -> MXNetEmbedder:
    """The network of `card` with the parameters in the file `weights`, on `device`, its graph built.

    Raises WeightsError for a file that does not hold the architecture, ConfigurationError where MXNet cannot be
    loaded, DeviceError where there is no GPU.
    """
    context = device_context(device)
    network = build_network(card.architecture, (pixel_format.height, pixel_format.width))
    try:
        network.load_parameters(str(weights), ctx=context)
    except (AssertionError, ValueError, import_mxnet().MXNetError) as error:
        raise WeightsError(
            f"{weights} does not hold {card.architecture}: {str(error)[:200]}.", remedy=REMEDY
        ) from error
    _compile(network, card.architecture, context, (batch_size, 3, pixel_format.height, pixel_format.width))
    return MXNetEmbedder(network, card, context, pixel_format, batch_size)


def build_network(architecture: Architecture, size: tuple[int, int]) -> Any:
    """The Gluon block of `architecture` for images of `size` (height, width), without weights."""
    import_mxnet()
    # Imported here: both modules define subclasses of MXNet's own.
    from stepvec_worker.engines.efficientnet_lite0 import EfficientNetLite0Features
    from stepvec_worker.engines.resnet18 import ResNet18Features

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
