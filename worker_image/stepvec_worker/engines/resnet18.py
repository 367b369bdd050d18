"""ResNet18, v1 (He et al. 2015) and v2 (identity mappings, 2016): Gluon's own networks without their classifier."""

from __future__ import annotations

from typing import Any

from mxnet.gluon import HybridBlock
from mxnet.gluon.model_zoo import vision


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
