"""Models for the worker's tests, made once a run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from stepvec import codec
from stepvec.rows.model import ARCHITECTURES, Architecture, ModelCard
from stepvec.weights.make import make_model
from stepvec.weights.params_file import write_params
from stepvec.weights.sources import EfficientNetPackageSource
from testkit.seeded_model import seeded_parameters
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


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Path]:
    """A model directory of each architecture, of seeded parameters."""
    folder = tmp_path_factory.mktemp("models")
    return {name: write_model(folder / name, name, seeded_parameters(name)) for name in ARCHITECTURES}


def write_model(directory: Path, architecture: Architecture, parameters: dict[str, Array]) -> Path:
    """A model directory of exactly these parameters, right or wrong."""
    directory.mkdir(exist_ok=True)
    data = write_params(parameters)
    card = ModelCard(architecture, hashlib.sha256(data).hexdigest(), "a test", "none")
    (directory / "weights.params").write_bytes(data)
    (directory / "model.json").write_text(codec.to_json(card))
    return directory


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with an authority's certificate and one that it gave 127.0.0.1, made by openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificates, is not on this machine")
    (tmp_path / "extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -extfile extensions",
    ):
        subprocess.run([openssl, *command.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path
