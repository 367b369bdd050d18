"""Weights of every architecture, as the files of the world name them, from seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stepvec.rows.model import Architecture
from stepvec.weights.specs import parameter_shapes
from tests.golden.seeded import Array, seeded_state

GOLDEN = Path(__file__).parent.parent / "golden"


def gluon_state(architecture: Architecture) -> dict[str, Array]:
    """What Gluon's save_parameters gives for the whole network: classifier included."""
    features = parameter_shapes(architecture)
    width = next(reversed(features.values()))[0]
    random = np.random.RandomState(7)
    state: dict[str, Array] = {}
    for name, shape in features.items():
        values = random.standard_normal(shape).astype(np.float32)
        state[name] = np.abs(values) + np.float32(0.5) if name.endswith("running_var") else values
    return state | {"output.weight": np.zeros((10, width), np.float32), "output.bias": np.zeros(10, np.float32)}


def torchvision_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's own state dict, as the golden file's maker found them."""
    with np.load(GOLDEN / "torch_resnet18.npz") as golden:
        return {name: tuple(shape) for name, shape in json.loads(str(golden["shapes"])).items()}


def torchvision_state() -> dict[str, Array]:
    """The state dict that tests/golden/make_torch_resnet18.py gave to torchvision's network."""
    return seeded_state(torchvision_shapes())
