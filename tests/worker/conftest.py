"""Models for the worker's tests, made once a run."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest

from stepvec import codec
from stepvec.rows.model import Architecture, ModelCard
from stepvec.weights.make import make_model
from stepvec.weights.params_file import write_params
from stepvec.weights.sources import EfficientNetPackageSource
from stepvec.weights.specs import parameter_shapes
from tests.golden.seeded import Array


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As the worker's supervisor forks before there is a model, so do its tests."""
    items.sort(key=lambda item: item.get_closest_marker("forks") is None)


@pytest.fixture(scope="session")
def efficientnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of the trained EfficientNet-Lite0."""
    directory = tmp_path_factory.mktemp("efficientnet")
    make_model([EfficientNetPackageSource()], directory, lambda _: None)
    return directory


def scaled_state(architecture: Architecture) -> dict[str, Array]:
    """Weights from seeds, scaled so that activations stay about as large as they come in."""
    return {name: _scaled(name, shape) for name, shape in parameter_shapes(architecture).items()}


def _scaled(name: str, shape: tuple[int, ...]) -> Array:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if len(shape) == 4:
        values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("gamma", "running_var")):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.standard_normal(shape) * 0.1
    return np.asarray(values, np.float32)


def write_model(directory: Path, architecture: Architecture, parameters: dict[str, Array]) -> Path:
    """A model directory of exactly these parameters, right or wrong."""
    directory.mkdir(exist_ok=True)
    data = write_params(parameters)
    card = ModelCard(architecture, hashlib.sha256(data).hexdigest(), "a test", "none")
    (directory / "weights.params").write_bytes(data)
    (directory / "model.json").write_text(codec.to_json(card))
    return directory
