"""A model directory, as `stepvec weights` makes it, to an Embedder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.adapters.model_directory import read_model_card
from stepvec.errors import ConfigurationError, WeightsError
from stepvec.model import DIMENSIONS, WEIGHTS_FILE, ModelCard
from stepvec_worker.architectures.runtime import device_context, import_mxnet

FloatArray = NDArray[np.float32]

DEFAULT_BATCH_SIZE: Final = 32

_REMEDY: Final = "Make the model again with `stepvec weights`, and give its directory."


class Embedder:
    """A loaded network. Not safe to call from two threads at a time.

    `card` says which model it is, `dimension` how many numbers a vector has, `input_shape` (3, H, W) what an image
    must look like, `batch_size` how many images one call takes at the most.
    """

    def __init__(
        self, network: Any, card: ModelCard, context: Any, input_shape: tuple[int, int, int], batch_size: int
    ) -> None:
        self.card = card
        self.dimension = DIMENSIONS[card.architecture]
        self.input_shape = input_shape
        self.batch_size = batch_size
        self._network = network
        self._context = context
        # One buffer for all batches. What a smaller batch leaves of the one before costs time but changes nothing:
        # no image sees another one.
        self._buffer = np.zeros((batch_size, *input_shape), np.float32)

    def embed(self, pixels: Sequence[FloatArray] | FloatArray) -> FloatArray:
        """Vectors, (N, dimension) float32, of N images, each of input_shape, 1 <= N <= batch_size.

        The network always sees the whole batch size, since another one would build the static graph anew; an
        image's vector is the same, bit for bit, whatever else is in its batch. Raises ConfigurationError for a
        batch of another shape.
        """
        batch = np.asarray(pixels)
        images = len(batch)
        if batch.shape[1:] != self.input_shape or not 1 <= images <= self.batch_size:
            raise ConfigurationError(
                f"A batch has the shape {batch.shape}, "
                f"but this model takes 1 to {self.batch_size} images of {self.input_shape}.",
                remedy="Prepare images with the preprocessing that the model was loaded for.",
            )
        self._buffer[:images] = batch
        vectors = self._network(import_mxnet().nd.array(self._buffer, ctx=self._context)).asnumpy()
        return np.asarray(vectors[:images], np.float32)


def load_embedder(
    model_directory: Path,
    device: str,
    input_shape: tuple[int, int, int],
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Embedder:
    """The network of `model_directory`, its weights checked against their card, on `device`.

    Takes a second or two: MXNet is imported. The first call of the network builds its graph, and takes longer. Raises
    WeightsError for a directory without a model, a file that is not the card's or not the architecture's,
    ConfigurationError where MXNet cannot be loaded, DeviceError where there is no GPU.
    """
    card = read_model_card(model_directory)
    weights = model_directory / WEIGHTS_FILE
    verify_weights(weights, card)
    context = device_context(device)
    network = build_network(card.architecture, input_shape)
    try:
        network.load_parameters(str(weights), ctx=context)
    except (AssertionError, ValueError, import_mxnet().MXNetError) as error:
        raise WeightsError(
            f"{weights} does not hold {card.architecture}: {str(error)[:200]}.", remedy=_REMEDY
        ) from error
    _compile(network, card.architecture, context, (batch_size, *input_shape))
    return Embedder(network, card, context, input_shape, batch_size)


def _compile(network: Any, architecture: str, context: Any, batch_shape: tuple[int, ...]) -> None:
    static = {"static_alloc": True, "static_shape": True}
    if architecture == "efficientnet_lite0" and context.device_type == "cpu":
        # oneDNN folds BatchNorm and ReLU6 into the convolutions: 75 instead of 21 images a CPU-second, vectors
        # within 1e-5. ResNet18 gains nothing from it, and keeps the plain graph.
        network.hybridize()
        example = import_mxnet().nd.zeros(batch_shape, ctx=context)
        network.optimize_for(example, backend="MKLDNN", **static)
    else:
        network.hybridize(**static)


def verify_weights(weights: Path, card: ModelCard) -> None:
    """Raises WeightsError where the file is missing or is not, byte for byte, the one that `card` describes."""
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights} cannot be read: {error.strerror}.", remedy=_REMEDY) from error
    if found != card.weights_sha256:
        raise WeightsError(f"{weights} has the sha256 {found}, its card says {card.weights_sha256}.", remedy=_REMEDY)


def build_network(architecture: str, input_shape: tuple[int, int, int]) -> Any:
    """The Gluon block of `architecture` for images of `input_shape`, without weights."""
    import_mxnet()
    # Imported here: both modules define subclasses of MXNet's own.
    from stepvec_worker.architectures.efficientnet_lite0 import EfficientNetLite0Features
    from stepvec_worker.architectures.resnet18 import ResNet18Features

    if architecture == "efficientnet_lite0":
        return EfficientNetLite0Features(input_shape[1:])
    return ResNet18Features(2 if architecture == "resnet18_v2" else 1)
