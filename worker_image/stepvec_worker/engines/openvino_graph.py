"""The networks as OpenVINO graphs, built from the parameters of weights.params: BatchNorm folded, pixels in.

What the layers are is in folded_networks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepvec.rows.model import Architecture
from stepvec.weights.model_directory import ActivationRange
from stepvec.weights.specs import FloatArray, Parameters
from stepvec_worker.engines.embedder import normalisation
from stepvec_worker.engines.folded_networks import Layers, features
from stepvec_worker.engines.openvino_runtime import constant, import_openvino, import_operators
from stepvec_worker.engines.quantisation import Node, levels_of_weights, quantised_activations
from stepvec_worker.images.preprocessing import PixelFormat


def build_graph(
    architecture: Architecture,
    parameters: Parameters,
    pixel_format: PixelFormat,
    batch_size: int,
    *,
    quantised: Mapping[str, ActivationRange] | None = None,
    tap_activations: bool = False,
) -> Any:
    """An openvino.Model: (batch_size, H, W, 3) pixels to (batch_size, dimension) float32.

    `parameters` are all of the architecture's. The convolutions named in `quantised` compute in int8, what goes into
    each being of the given range. With `tap_activations` the model has an output more for each convolution: what goes
    into it, under the convolution's name.
    """
    operators = import_operators()
    shape = (batch_size, *pixel_format.shape)
    pixels = operators.parameter(list(shape), np.dtype(pixel_format.element), name="pixels")
    layers = _Layers(architecture, parameters, quantised or {})
    channels_first = operators.transpose(operators.convert(pixels, "f32"), np.array([0, 3, 1, 2]))
    numbers = normalisation(architecture)
    images = layers.affine(channels_first, numbers.scale, numbers.offset)
    vectors = operators.reduce_mean(features(architecture, layers, images), np.array([2, 3]), keep_dims=False)
    outputs = [operators.result(vectors)]
    if tap_activations:
        for name, activations in layers.inputs.items():
            outputs.append(operators.result(activations))
            outputs[-1].set_friendly_name(name)
    return import_openvino().Model(outputs, [pixels], architecture)


def nodes_to_first_depthwise(graph: Any) -> frozenset[str]:
    """Friendly names of what `graph` computes up to, and with, its first depthwise convolution."""
    names = []
    for node in graph.get_ordered_ops():
        names.append(node.get_friendly_name())
        if node.get_type_name() == "GroupConvolution":
            break
    return frozenset(names)


class _Layers(Layers[Node]):
    """Layers as OpenVINO's operators, those named in `quantised` in int8."""

    def __init__(
        self, architecture: Architecture, parameters: Parameters, quantised: Mapping[str, ActivationRange]
    ) -> None:
        super().__init__(architecture, parameters)
        self.inputs: dict[str, Node] = {}
        self._quantised = quantised
        self._operators = import_operators()

    def affine(self, images: Node, scale: FloatArray, offset: FloatArray) -> Node:
        scaled = self._operators.multiply(images, scale.reshape(1, -1, 1, 1))
        return self._operators.add(scaled, offset.reshape(1, -1, 1, 1))

    def convolved(
        self,
        images: Node,
        name: str,
        weight: FloatArray,
        offset: FloatArray | None,
        *,
        stride: int,
        groups: int,
        same: bool,
    ) -> Node:
        kernel = weight.shape[2]
        self.inputs[name] = images
        if groups != 1:
            weight = weight.reshape(groups, -1, *weight.shape[1:])
        if name in self._quantised:
            images = quantised_activations(images, self._quantised[name])
            within = tuple(range(1 if groups == 1 else 2, weight.ndim))
            numbers: Node = levels_of_weights(weight, within)
        else:
            numbers = constant(weight)
        begin = end = [0, 0] if same else [kernel // 2] * 2
        options = {"auto_pad": "same_upper"} if same else {}
        strides, dilations = [stride] * 2, [1, 1]
        if groups == 1:
            out = self._operators.convolution(images, numbers, strides, begin, end, dilations, **options)
        else:
            out = self._operators.group_convolution(images, numbers, strides, begin, end, dilations, **options)
        if offset is not None:
            out = self._operators.add(out, offset.reshape(1, -1, 1, 1))
        return out

    def relu(self, images: Node) -> Node:
        return self._operators.relu(images)

    def relu6(self, images: Node) -> Node:
        return self._operators.clamp(images, 0.0, 6.0)

    def add(self, first: Node, second: Node) -> Node:
        return self._operators.add(first, second)

    def halved(self, images: Node) -> Node:
        out: Node = self._operators.max_pool(images, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
        return out
