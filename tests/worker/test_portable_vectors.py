"""ONNX Runtime's vectors against torch's for the same weights: nothing that exists for one processor only is needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.preprocessing import PixelFormat

from stepvec.rows.model import Architecture
from stepvec.weights.parameter_names import torchvision_names
from stepvec.weights.state_dict import rename
from tests.golden.seeded import seeded_images
from tests.weights.states import GOLDEN, torchvision_state
from tests.worker.conftest import write_model
from tests.worker.pictures import as_pixels, cosines


def check(model: Path, architecture: Architecture, file: str) -> None:
    """Every batch of images in a golden file."""
    with np.load(GOLDEN / file) as golden:
        described = json.loads(str(golden["images"]))
        assert described
        for name, (seed, *size) in described.items():
            images = seeded_images(seed, *size)
            format_ = PixelFormat(images.shape[2], images.shape[3], "float32")
            embedder = load_embedder(model, "cpu", format_, len(images), engine="onnxruntime")
            vectors = embedder.embed(as_pixels(images, architecture))
            assert cosines(vectors, golden[name]).min() >= 0.99999, name
            np.testing.assert_allclose(vectors, golden[name], rtol=1e-3, atol=1e-4 * np.abs(golden[name]).max())


def test_resnet18s_are_torchvisions(tmp_path: Path) -> None:
    parameters = rename("resnet18_v1", torchvision_names(), torchvision_state())
    check(write_model(tmp_path / "model", "resnet18_v1", parameters), "resnet18_v1", "torch_resnet18.npz")


def test_the_trained_efficientnets_are_its_packages(efficientnet: Path) -> None:
    check(efficientnet, "efficientnet_lite0", "torch_efficientnet.npz")
