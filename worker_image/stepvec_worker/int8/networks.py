"""What calibration needs of a network: its vectors with some layers in int8, and what goes into each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from stepvec.rows.encoder import Encoder
from stepvec.rows.model import ModelCard
from stepvec.weights.model_directory import ActivationRange
from stepvec.weights.specs import Parameters
from stepvec_worker.engines.embedder import FloatArray
from stepvec_worker.engines.openvino_graph import build_graph
from stepvec_worker.engines.own_encoder import Compute, OwnEncoder, by_session, open_own
from stepvec_worker.engines.own_graph import Computation, quantisable, quantised, read_graph, tapped, weights_of
from stepvec_worker.images.preprocessing import PixelFormat, Pixels

BATCH: Final = 16
"""Images at a time, as many as the worker embeds."""

Watch = Callable[[Pixels], Mapping[str, FloatArray]]
"""A photo to what goes into each layer, by the layer's name; overwritten by the next call."""


class Network(Protocol):
    """A network whose layers may be quantised, each by its name."""

    @property
    def card(self) -> ModelCard:
        """Which model it is."""

    def vectors(self, layers: Mapping[str, ActivationRange], photos: Sequence[Pixels]) -> FloatArray:
        """(N, dimension) with these layers in int8; with none the float32 that a model gives otherwise."""

    def watch(self) -> Watch:
        """What goes into each layer that may be quantised, in float32."""

    def weights(self, name: str) -> int:
        """How many weights the layer has."""


class BuiltNetwork:
    """One of Stepvec's own."""

    def __init__(self, card: ModelCard, parameters: Parameters, pixel_format: PixelFormat) -> None:
        self.card = card
        self._parameters = parameters
        self._pixel_format = pixel_format

    def vectors(self, layers: Mapping[str, ActivationRange], photos: Sequence[Pixels]) -> FloatArray:
        """As in Network."""
        graph = build_graph(self.card.network, self._parameters, self._pixel_format, BATCH, quantised=layers)
        computation, parts = Computation(graph), []
        batch = np.zeros((BATCH, *self._pixel_format.shape), self._pixel_format.element)
        for start in range(0, len(photos), BATCH):
            part = photos[start : start + BATCH]
            batch[: len(part)] = np.stack(part)
            parts.append(computation(batch)[: len(part)])
        return np.concatenate(parts)

    def watch(self) -> Watch:
        """As in Network."""
        computation = Computation(
            build_graph(self.card.network, self._parameters, self._pixel_format, 1, tap_activations=True)
        )

        names = [output.node.friendly_name for output in computation.compiled.outputs[1:]]

        def inputs(photo: Pixels) -> Mapping[str, FloatArray]:
            computation(photo[None])
            return dict(zip(names, computation.further(), strict=True))

        return inputs

    def weights(self, name: str) -> int:
        """As in Network."""
        return int(self._parameters[f"{name}.weight"].size)


class OwnNetwork:
    """The ONNX file `data` of a user's own encoder: float32 is ONNX Runtime's, as in a deployment without int8."""

    def __init__(self, card: ModelCard, encoder: Encoder, data: bytes) -> None:
        self.card = card
        self._encoder = encoder
        self._graph = read_graph(data, encoder, encoder.batch or BATCH)
        self._one = self._graph if encoder.batch else read_graph(data, encoder, 1)
        self._layers = {name: weights_of(node).size for name, node in quantisable(self._graph).items()}
        self._exact = by_session(open_own(data, "the encoder"), encoder)

    @property
    def layers(self) -> int:
        """How many may be quantised."""
        return len(self._layers)

    def embedder(self, layers: Mapping[str, ActivationRange]) -> OwnEncoder:
        """The encoder with these layers in int8; with none, by ONNX Runtime."""
        compute: Compute = Computation(quantised(self._graph, layers)) if layers else self._exact
        return OwnEncoder(compute, self.card, self._encoder, BATCH)

    def vectors(self, layers: Mapping[str, ActivationRange], photos: Sequence[Pixels]) -> FloatArray:
        """As in Network."""
        embedder = self.embedder(layers)
        return np.concatenate([embedder.embed(photos[at : at + BATCH]) for at in range(0, len(photos), BATCH)])

    def watch(self) -> Watch:
        """As in Network."""
        computation = Computation(tapped(self._one))
        at_once = self._encoder.batch or 1
        embedder = OwnEncoder(computation, self.card, self._encoder, at_once)

        def inputs(photo: Pixels) -> Mapping[str, FloatArray]:
            embedder.embed([photo] * at_once)
            return dict(zip(self._layers, computation.further(), strict=True))

        return inputs

    def weights(self, name: str) -> int:
        """As in Network."""
        return self._layers[name]
