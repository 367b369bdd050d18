"""Gluon's two ways of naming a network's parameters, and what an exported symbol makes of the second."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from stepvec.rows.model import Architecture
from stepvec.weights.specs import parameter_shapes
from stepvec.weights.state_dict import State

_LEGACY_PREFIX: Final = re.compile(r"(arg:|aux:)?(resnetv\d+_)?(?=conv|batchnorm|stage|dense)")
"""Module checkpoints put arg: or aux: before a name, and the network's own prefix may be there or not."""


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
