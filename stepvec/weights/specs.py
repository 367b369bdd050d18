"""The parameters that each architecture has: names, shapes, order.

One form for every architecture: Gluon's structured names of the whole network without its output layer
(`features.4.0.body.0.weight`), in the order in which Gluon itself writes them. tests/worker/test_architectures.py
compares these tables with the networks that MXNet builds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvec.rows.model import Architecture

Shape = tuple[int, ...]
FloatArray = NDArray[np.float32]
Parameters = dict[str, FloatArray]
"""Parameters by name, float32, C order."""

RESNET18_CHANNELS: Final = (64, 128, 256, 512)
"""Channels of the four stages, two blocks each. Each stage but the first halves the image (He et al. 2015, table 1)."""

EFFICIENTNET_STEM_CHANNELS: Final = 32
EFFICIENTNET_HEAD_CHANNELS: Final = 1280

IGNORED_GAMMA: Final = "features.0.gamma"
"""resnet18_v2 begins with BatchNorm(scale=False): MXNet computes with 1 whatever the file holds here."""


@dataclass(frozen=True, slots=True)
class InvertedBottleneck:
    """One block of EfficientNet-Lite0: expansion by 1 x 1, depthwise convolution, projection by 1 x 1."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    expansion: int

    @property
    def channels_inside(self) -> int:
        """Channels of the depthwise convolution."""
        return self.channels_in * self.expansion

    @property
    def has_shortcut(self) -> bool:
        """Whether the block's input is added to its output (same shape only)."""
        return self.stride == 1 and self.channels_in == self.channels_out


def efficientnet_blocks() -> list[InvertedBottleneck]:
    """The 16 blocks of EfficientNet-Lite0, first to last.

    Source: tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py; the trained file's shapes
    agree. Only a stage's first block has the stage's stride.
    """
    stages = (  # repeats, kernel, stride, expansion, channels in, channels out
        (1, 3, 1, 1, 32, 16),
        (2, 3, 2, 6, 16, 24),
        (2, 5, 2, 6, 24, 40),
        (3, 3, 2, 6, 40, 80),
        (3, 5, 1, 6, 80, 112),
        (4, 5, 2, 6, 112, 192),
        (1, 3, 1, 6, 192, 320),
    )
    return [
        InvertedBottleneck(
            channels_in=channels_in if repeat == 0 else channels_out,
            channels_out=channels_out,
            kernel=kernel,
            stride=stride if repeat == 0 else 1,
            expansion=expansion,
        )
        for repeats, kernel, stride, expansion, channels_in, channels_out in stages
        for repeat in range(repeats)
    ]


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Name and shape of each parameter of `architecture`, in the order of a canonical weights file."""
    layers = {
        "resnet18_v1": _resnet18_v1,
        "resnet18_v2": _resnet18_v2,
        "efficientnet_lite0": _efficientnet_lite0,
    }[architecture]
    return dict(layers())


_Shapes = Iterator[tuple[str, Shape]]


def _norm(name: str, channels: int) -> _Shapes:
    for statistic in ("gamma", "beta", "running_mean", "running_var"):
        yield f"{name}.{statistic}", (channels,)


def _convolution(name: str, channels_out: int, channels_in: int, kernel: int) -> _Shapes:
    yield f"{name}.weight", (channels_out, channels_in, kernel, kernel)


def _resnet18_blocks(first_layer: int) -> Iterator[tuple[str, int, int]]:
    """Prefix, channels in, channels out of each residual block; stages are numbered from `first_layer`."""
    channels_in = RESNET18_CHANNELS[0]
    for stage, channels in enumerate(RESNET18_CHANNELS):
        for block in range(2):
            yield f"features.{first_layer + stage}.{block}", channels_in, channels
            channels_in = channels


def _resnet18_v1() -> _Shapes:
    yield from _convolution("features.0", 64, 3, 7)
    yield from _norm("features.1", 64)
    for block, channels_in, channels in _resnet18_blocks(first_layer=4):
        yield from _convolution(f"{block}.body.0", channels, channels_in, 3)
        yield from _norm(f"{block}.body.1", channels)
        yield from _convolution(f"{block}.body.3", channels, channels, 3)
        yield from _norm(f"{block}.body.4", channels)
        if channels_in != channels:
            yield from _convolution(f"{block}.downsample.0", channels, channels_in, 1)
            yield from _norm(f"{block}.downsample.1", channels)


def _resnet18_v2() -> _Shapes:
    yield from _norm("features.0", 3)
    yield from _convolution("features.1", 64, 3, 7)
    yield from _norm("features.2", 64)
    for block, channels_in, channels in _resnet18_blocks(first_layer=5):
        yield from _norm(f"{block}.bn1", channels_in)
        yield from _convolution(f"{block}.conv1", channels, channels_in, 3)
        yield from _norm(f"{block}.bn2", channels)
        yield from _convolution(f"{block}.conv2", channels, channels, 3)
        if channels_in != channels:
            yield from _convolution(f"{block}.downsample", channels, channels_in, 1)
    yield from _norm("features.9", RESNET18_CHANNELS[-1])


def _convolution_and_norm(name: str, channels_out: int, channels_in: int, kernel: int) -> _Shapes:
    yield from _convolution(f"{name}.convolution", channels_out, channels_in, kernel)
    yield from _norm(f"{name}.norm", channels_out)


def _efficientnet_lite0() -> _Shapes:
    blocks = efficientnet_blocks()
    yield from _convolution_and_norm("features.0", EFFICIENTNET_STEM_CHANNELS, 3, 3)
    for number, block in enumerate(blocks, start=1):
        name, inside = f"features.{number}", block.channels_inside
        if block.expansion != 1:
            yield from _convolution_and_norm(f"{name}.expand", inside, block.channels_in, 1)
        # A depthwise convolution has one input channel a filter.
        yield from _convolution_and_norm(f"{name}.depthwise", inside, 1, block.kernel)
        yield from _convolution_and_norm(f"{name}.project", block.channels_out, inside, 1)
    yield from _convolution_and_norm(
        f"features.{len(blocks) + 1}", EFFICIENTNET_HEAD_CHANNELS, blocks[-1].channels_out, 1
    )
