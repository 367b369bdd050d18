"""The networks in Gluon, without their classifiers. Importing this imports MXNet.

ResNet18 v1 (He et al. 2015) and v2 (identity mappings, 2016) are Gluon's own. EfficientNet-Lite0 is EfficientNet-B0
without squeeze-and-excitation, with ReLU6 instead of swish: tensorflow/tpu, models/official/efficientnet/lite. It
differs from most networks of today in three ways that trained weights depend on: padding is TensorFlow's "SAME" (what
is odd goes to the bottom and the right), BatchNorm's epsilon is 1e-3, and activations end at 6.
"""

from __future__ import annotations

from typing import Any, Final

from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.model_zoo import vision

from stepvec.weights.specs import (
    EFFICIENTNET_HEAD_CHANNELS,
    EFFICIENTNET_STEM_CHANNELS,
    InvertedBottleneck,
    efficientnet_blocks,
)
from stepvec_worker.engines.folded_networks import Size, same_padding

_EPSILON: Final = 1e-3


class ResNet18Features(HybridBlock):  # type: ignore[misc] # mxnet has no types
    """(N, 3, H, W) float32 to (N, 512): what enters the classifier of Gluon's resnet18_v1 or resnet18_v2.

    Parameters are called `features.…`, as in the whole network, so that its files load strictly: one missing or one
    too many is an error. v2 begins with BatchNorm(scale=False), whose stored gamma MXNet ignores.
    """

    def __init__(self, version: int, **names: Any) -> None:
        super().__init__(**names)
        whole = vision.resnet18_v1() if version == 1 else vision.resnet18_v2()
        self.features = whole.features

    def hybrid_forward(self, operators: Any, images: Any) -> Any:
        """Vectors of `images`. v1's features end at (N, 512, 1, 1), v2's are flat already."""
        return operators.flatten(self.features(images))


class EfficientNetLite0Features(HybridBlock):  # type: ignore[misc] # mxnet has no types
    """(N, 3, H, W) float32 to (N, 1280): what enters the classifier.

    `size` is the (height, width) of the images, because "SAME" padding depends on it.
    """

    def __init__(self, size: Size, **names: Any) -> None:
        super().__init__(**names)
        with self.name_scope():
            self.features = nn.HybridSequential()
            stem = ConvolutionNorm(EFFICIENTNET_STEM_CHANNELS, 3, size, kernel=3, stride=2)
            self.features.add(stem)
            size = stem.output_size
            blocks = efficientnet_blocks()
            for facts in blocks:
                block = Block(facts, size)
                self.features.add(block)
                size = block.output_size
            self.features.add(
                ConvolutionNorm(EFFICIENTNET_HEAD_CHANNELS, blocks[-1].channels_out, size, kernel=1),
                nn.GlobalAvgPool2D(),
                nn.Flatten(),
            )

    def hybrid_forward(self, operators: Any, images: Any) -> Any:
        """Vectors of `images`."""
        del operators
        return self.features(images)


class ConvolutionNorm(HybridBlock):  # type: ignore[misc]
    """A convolution with "SAME" padding, its BatchNorm, and ReLU6 unless `activated` is false."""

    def __init__(
        self,
        channels_out: int,
        channels_in: int,
        size: Size,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> None:
        super().__init__()
        top, bottom = same_padding(size[0], kernel, stride)
        left, right = same_padding(size[1], kernel, stride)
        self.output_size: Size = (-(-size[0] // stride), -(-size[1] // stride))
        # MXNet's convolution pads both sides alike. Where "SAME" wants less before than after, one stride more is
        # padded and the first row or column of the output, which only that stride gave, is cut off. Padding the
        # input instead gives the same numbers but moves four times the data (measured: a third slower).
        self._first_row, self._first_column = int(top != bottom), int(left != right)
        self._activated = activated
        with self.name_scope():
            self.convolution = nn.Conv2D(
                channels_out,
                kernel,
                strides=stride,
                padding=(top + stride * self._first_row, left + stride * self._first_column),
                groups=groups,
                use_bias=False,
                in_channels=channels_in,
            )
            self.norm = nn.BatchNorm(epsilon=_EPSILON, in_channels=channels_out)

    def hybrid_forward(self, operators: Any, images: Any) -> Any:
        """(N, channels_in, H, W) to (N, channels_out, ceil(H / stride), ceil(W / stride))."""
        out = self.norm(self.convolution(images))
        if self._activated:
            out = operators.clip(out, 0, 6)
        if self._first_row or self._first_column:
            begin = (None, None, self._first_row, self._first_column)
            out = operators.slice(out, begin=begin, end=(None, None, None, None))
        return out


class Block(HybridBlock):  # type: ignore[misc]
    """One inverted bottleneck: expand (where it expands), depthwise, project, and the shortcut around them."""

    def __init__(self, facts: InvertedBottleneck, size: Size) -> None:
        super().__init__()
        inside = facts.channels_inside
        self._has_shortcut = facts.has_shortcut
        with self.name_scope():
            self.expand = ConvolutionNorm(inside, facts.channels_in, size, kernel=1) if facts.expansion != 1 else None
            self.depthwise = ConvolutionNorm(
                inside, inside, size, kernel=facts.kernel, stride=facts.stride, groups=inside
            )
            self.output_size: Size = self.depthwise.output_size
            self.project = ConvolutionNorm(facts.channels_out, inside, self.output_size, kernel=1, activated=False)

    def hybrid_forward(self, operators: Any, images: Any) -> Any:
        """(N, channels_in, H, W) to (N, channels_out, ceil(H / stride), ceil(W / stride))."""
        del operators
        out = images if self.expand is None else self.expand(images)
        out = self.project(self.depthwise(out))
        return images + out if self._has_shortcut else out
