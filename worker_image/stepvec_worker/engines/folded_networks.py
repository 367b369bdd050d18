"""The three networks, layer by layer, for whatever engine builds them as a graph: BatchNorm folded into convolutions.

What the parameters are is in stepvec/weights/specs.py; the Gluon networks beside this file are the same, as MXNet
writes them. tests/worker compares the vectors of all engines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stepvec.rows.model import Architecture
from stepvec.weights.specs import RESNET18_CHANNELS, FloatArray, InvertedBottleneck, Parameters, efficientnet_blocks

_EPSILON: Final[dict[Architecture, float]] = {"resnet18_v1": 1e-5, "resnet18_v2": 1e-5, "efficientnet_lite0": 1e-3}
"""Of BatchNorm, as each was trained."""

Size = tuple[int, int]
"""Height and width."""

Node = TypeVar("Node")
"""What an engine's graph calls the result of a layer."""


class Layers(ABC, Generic[Node]):
    """Layers of an engine's graph, under their names in `parameters`: all of those of `architecture`."""

    def __init__(self, architecture: Architecture, parameters: Parameters) -> None:
        self._parameters = parameters
        self._epsilon = _EPSILON[architecture]

    def norm(self, images: Node, name: str, *, has_scale: bool = True) -> Node:
        """BatchNorm by itself; without scale its gamma is 1, whatever the file holds."""
        scale, offset = self._norm_numbers(name, has_scale=has_scale)
        return self.affine(images, scale.astype(np.float32), offset.astype(np.float32))

    def convolution(
        self, images: Node, name: str, *, norm: str = "", stride: int = 1, groups: int = 1, same: bool = False
    ) -> Node:
        """A convolution with the BatchNorm called `norm` folded into it.

        `same`: TensorFlow's padding (what is odd goes to the bottom and the right); else half the kernel on each side.
        """
        weight = self._parameters[f"{name}.weight"]
        offset = None
        if norm:
            scale, bias = self._norm_numbers(norm)
            weight, offset = weight * scale.astype(np.float32)[:, None, None, None], bias.astype(np.float32)
        return self.convolved(images, name, weight, offset, stride=stride, groups=groups, same=same)

    @abstractmethod
    def affine(self, images: Node, scale: FloatArray, offset: FloatArray) -> Node:
        """images * scale + offset, a number each a channel."""

    @abstractmethod
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
        """The convolution `name`: `weight` is (out, in / groups, K, K), `offset`, if any, is added to each channel."""

    @abstractmethod
    def relu(self, images: Node) -> Node:
        """What is below 0 becomes 0."""

    @abstractmethod
    def relu6(self, images: Node) -> Node:
        """What is below 0 becomes 0, and what is above 6 becomes 6."""

    @abstractmethod
    def add(self, first: Node, second: Node) -> Node:
        """Number by number."""

    @abstractmethod
    def halved(self, images: Node) -> Node:
        """The largest of each 3 x 3, every second."""

    def _norm_numbers(self, name: str, *, has_scale: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale and offset, a number each a channel, float64."""
        gamma, beta, mean, variance = (
            self._parameters[f"{name}.{part}"].astype(np.float64)
            for part in ("gamma", "beta", "running_mean", "running_var")
        )
        scale = (gamma if has_scale else 1.0) / np.sqrt(variance + self._epsilon)
        return scale, beta - mean * scale


def same_padding(size: int, kernel: int, stride: int) -> Size:
    """TensorFlow's "SAME": zeros before and after an axis of `size`, so that ceil(size / stride) positions result."""
    positions = -(-size // stride)
    total = max((positions - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def features(architecture: Architecture, layers: Layers[Node], images: Node) -> Node:
    """What the mean over all positions is taken of: (N, dimension, H / 32, W / 32), of normalised (N, 3, H, W)."""
    networks: dict[Architecture, Callable[[Layers[Any], Any], Any]] = {
        "resnet18_v1": _resnet18_v1,
        "resnet18_v2": _resnet18_v2,
        "efficientnet_lite0": _efficientnet_lite0,
    }
    result: Node = networks[architecture](layers, images)
    return result


def _resnet18_v1(layers: Layers[Node], images: Node) -> Node:
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


def _resnet18_v2(layers: Layers[Node], images: Node) -> Node:
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


def _efficientnet_lite0(layers: Layers[Node], images: Node) -> Node:
    blocks = efficientnet_blocks()
    out = layers.relu6(_with_norm(layers, images, "features.0", stride=2))
    for number, block in enumerate(blocks, start=1):
        out = _inverted_bottleneck(layers, out, f"features.{number}", block)
    return layers.relu6(_with_norm(layers, out, f"features.{len(blocks) + 1}"))


def _inverted_bottleneck(layers: Layers[Node], images: Node, name: str, block: InvertedBottleneck) -> Node:
    out = images
    if block.expansion != 1:
        out = layers.relu6(_with_norm(layers, out, f"{name}.expand"))
    depthwise = _with_norm(layers, out, f"{name}.depthwise", stride=block.stride, groups=block.channels_inside)
    out = _with_norm(layers, layers.relu6(depthwise), f"{name}.project")
    return layers.add(images, out) if block.has_shortcut else out


def _with_norm(layers: Layers[Node], images: Node, name: str, *, stride: int = 1, groups: int = 1) -> Node:
    return layers.convolution(
        images, f"{name}.convolution", norm=f"{name}.norm", stride=stride, groups=groups, same=True
    )
