"""torchvision's names for what Gluon calls resnet18_v1: the same network."""

from __future__ import annotations

from typing import Final

from stepvec.weights.specs import RESNET18_CHANNELS
from stepvec.weights.state_dict import torch_names

_INSIDE_A_BLOCK: Final = {"body.0": "conv1", "body.1": "bn1", "body.3": "conv2", "body.4": "bn2"}


def torchvision_names() -> dict[str, str]:
    """torchvision's name of each parameter of resnet18_v1.

    Numerically exact: both put a block's stride into its first 3 x 3 convolution, and every norm has eps 1e-5.
    """
    layers = {"features.0": "conv1", "features.1": "bn1"}
    for stage in range(len(RESNET18_CHANNELS)):
        for block in range(2):
            ours, theirs = f"features.{4 + stage}.{block}", f"layer{1 + stage}.{block}"
            layers |= {f"{ours}.{part}": f"{theirs}.{layer}" for part, layer in _INSIDE_A_BLOCK.items()}
            if stage > 0 and block == 0:
                layers |= {f"{ours}.downsample.{i}": f"{theirs}.downsample.{i}" for i in range(2)}
    return torch_names("resnet18_v1", layers)
