"""The networks as OpenVINO graphs, built from the parameters of weights.params: BatchNorm folded, pixels in.

What the layers are is in stepvec/weights/specs.py and in the Gluon networks beside this file; tests/worker compares
the vectors of both engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.rows.model import Architecture
from stepvec.weights.model_directory import ActivationRange
from stepvec.weights.specs import RESNET18_CHANNELS, InvertedBottleneck, Parameters, efficientnet_blocks
from stepvec_worker.engines.embedder import normalisation
from stepvec_worker.engines.openvino_runtime import import_openvino, import_operators
from stepvec_worker.images.preprocessing import PixelFormat

_EPSILON: Final[dict[Architecture, float]] = {"resnet18_v1": 1e-5, "resnet18_v2": 1e-5, "efficientnet_lite0": 1e-3}
"""Of BatchNorm, as each was trained."""

Node = Any
"""A node of OpenVINO, or its only output: its own types are not in the worker's type check."""


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
    layers = _Layers(parameters, _EPSILON[architecture], quantised or {})
    network: Callable[[_Layers, Node], Node] = _efficientnet_lite0
    if architecture != "efficientnet_lite0":
        network = _resnet18_v2 if architecture == "resnet18_v2" else _resnet18_v1
    channels_first = operators.transpose(operators.convert(pixels, "f32"), np.array([0, 3, 1, 2]))
    numbers = normalisation(architecture)
    images = layers.affine(channels_first, numbers.scale, numbers.offset)
    vectors = operators.reduce_mean(network(layers, images), np.array([2, 3]), keep_dims=False)
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


class _Layers:
    """Layers under their names in `parameters`."""

    def __init__(self, parameters: Parameters, epsilon: float, quantised: Mapping[str, ActivationRange]) -> None:
        self.inputs: dict[str, Node] = {}
        self._parameters = parameters
        self._epsilon = epsilon
        self._quantised = quantised
        self._operators = import_operators()

    def affine(self, images: Node, scale: NDArray[Any], offset: NDArray[Any]) -> Node:
        """images * scale + offset, a number each a channel."""
        scaled = self._operators.multiply(images, scale.astype(np.float32).reshape(1, -1, 1, 1))
        return self._operators.add(scaled, offset.astype(np.float32).reshape(1, -1, 1, 1))

    def norm(self, images: Node, name: str, *, has_scale: bool = True) -> Node:
        """BatchNorm by itself; without scale its gamma is 1, whatever the file holds."""
        return self.affine(images, *self._norm_numbers(name, has_scale=has_scale))

    def convolution(
        self, images: Node, name: str, *, norm: str = "", stride: int = 1, groups: int = 1, same: bool = False
    ) -> Node:
        """A convolution with the BatchNorm called `norm` folded into it.

        `same`: TensorFlow's padding (what is odd goes to the bottom and the right); else half the kernel on each side.
        """
        weight = self._parameters[f"{name}.weight"]
        kernel = weight.shape[2]
        offset = None
        if norm:
            scale, offset = self._norm_numbers(norm)
            weight = weight * scale.astype(np.float32)[:, None, None, None]
        self.inputs[name] = images
        numbers: Node = weight
        if groups != 1:
            numbers = numbers.reshape(groups, -1, *numbers.shape[1:])
        if name in self._quantised:
            images = self._quantise(images, self._quantised[name])
            numbers = self._quantise_weights(numbers, channel_axes=1 if groups == 1 else 2)
        begin = end = [0, 0] if same else [kernel // 2] * 2
        options = {"auto_pad": "same_upper"} if same else {}
        strides, dilations = [stride] * 2, [1, 1]
        if groups == 1:
            out = self._operators.convolution(images, numbers, strides, begin, end, dilations, **options)
        else:
            out = self._operators.group_convolution(images, numbers, strides, begin, end, dilations, **options)
        if offset is not None:
            out = self._operators.add(out, offset.astype(np.float32).reshape(1, -1, 1, 1))
        return out

    def _quantise(self, images: Node, range_: ActivationRange) -> Node:
        """256 levels over the range: u8 where it begins at 0, else i8 around 0."""
        low, high = np.float32(range_.low), np.float32(range_.high)
        return self._operators.fake_quantize(images, low, high, low, high, 256)

    def _quantise_weights(self, weight: NDArray[np.float32], channel_axes: int) -> Node:
        """255 levels of i8 around 0, each output channel to its own largest weight."""
        largest = np.abs(weight).max(axis=tuple(range(channel_axes, weight.ndim)), keepdims=True)
        # A channel of zeros stays one; any range will do.
        largest = np.where(largest == 0, np.float32(1), largest)
        return self._operators.fake_quantize(weight, -largest, largest, -largest, largest, 255)

    def relu(self, images: Node) -> Node:
        return self._operators.relu(images)

    def relu6(self, images: Node) -> Node:
        return self._operators.clamp(images, 0.0, 6.0)

    def add(self, first: Node, second: Node) -> Node:
        return self._operators.add(first, second)

    def halved(self, images: Node) -> Node:
        """The largest of each 3 x 3, every second."""
        out: Node = self._operators.max_pool(images, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
        return out

    def _norm_numbers(self, name: str, *, has_scale: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale and offset, a number each a channel, float64."""
        gamma, beta, mean, variance = (
            self._parameters[f"{name}.{part}"].astype(np.float64)
            for part in ("gamma", "beta", "running_mean", "running_var")
        )
        scale = (gamma if has_scale else 1.0) / np.sqrt(variance + self._epsilon)
        return scale, beta - mean * scale


def _resnet18_v1(layers: _Layers, images: Node) -> Node:
    out = layers.relu(layers.convolution(images, "features.0", norm="features.1", stride=2))
    out = layers.halved(out)
    for stage in range(len(RESNET18_CHANNELS)):
        for block in range(2):
            name, stride = f"features.{4 + stage}.{block}", 2 if stage and not block else 1
            inside = layers.relu(layers.convolution(out, f"{name}.body.0", norm=f"{name}.body.1", stride=stride))
            inside = layers.convolution(inside, f"{name}.body.3", norm=f"{name}.body.4")
            if stride != 1:
                out = layers.convolution(out, f"{name}.downsample.0", norm=f"{name}.downsample.1", stride=stride)
            out = layers.relu(layers.add(inside, out))
    return out


def _resnet18_v2(layers: _Layers, images: Node) -> Node:
    out = layers.norm(images, "features.0", has_scale=False)
    out = layers.relu(layers.convolution(out, "features.1", norm="features.2", stride=2))
    out = layers.halved(out)
    for stage in range(len(RESNET18_CHANNELS)):
        for block in range(2):
            name, stride = f"features.{5 + stage}.{block}", 2 if stage and not block else 1
            activated = layers.relu(layers.norm(out, f"{name}.bn1"))
            inside = layers.relu(layers.convolution(activated, f"{name}.conv1", norm=f"{name}.bn2", stride=stride))
            inside = layers.convolution(inside, f"{name}.conv2")
            if stride != 1:
                out = layers.convolution(activated, f"{name}.downsample", stride=stride)
            out = layers.add(inside, out)
    return layers.relu(layers.norm(out, "features.9"))


def _efficientnet_lite0(layers: _Layers, images: Node) -> Node:
    blocks = efficientnet_blocks()
    out = layers.relu6(_with_norm(layers, images, "features.0", stride=2))
    for number, block in enumerate(blocks, start=1):
        out = _inverted_bottleneck(layers, out, f"features.{number}", block)
    return layers.relu6(_with_norm(layers, out, f"features.{len(blocks) + 1}"))


def _inverted_bottleneck(layers: _Layers, images: Node, name: str, block: InvertedBottleneck) -> Node:
    out = images
    if block.expansion != 1:
        out = layers.relu6(_with_norm(layers, out, f"{name}.expand"))
    depthwise = _with_norm(layers, out, f"{name}.depthwise", stride=block.stride, groups=block.channels_inside)
    out = _with_norm(layers, layers.relu6(depthwise), f"{name}.project")
    return layers.add(images, out) if block.has_shortcut else out


def _with_norm(layers: _Layers, images: Node, name: str, *, stride: int = 1, groups: int = 1) -> Node:
    return layers.convolution(
        images, f"{name}.convolution", norm=f"{name}.norm", stride=stride, groups=groups, same=True
    )
