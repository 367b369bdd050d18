"""The networks, their parameter tables, and the vectors that torch gives for the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stepvec_worker.engines import load_embedder
from stepvec_worker.engines.mxnet_engine import build_network
from stepvec_worker.images.preprocessing import PixelFormat

from stepvec.rows.model import ARCHITECTURES, Architecture
from stepvec.weights.parameter_names import legacy_names, torchvision_names
from stepvec.weights.params_file import read_params, write_params
from stepvec.weights.specs import parameter_shapes
from stepvec.weights.state_dict import rename
from tests.golden.seeded import Array, seeded_images
from tests.weights.states import GOLDEN, gluon_state, torchvision_state
from tests.worker.conftest import write_model
from tests.worker.pictures import as_pixels

mx = pytest.importorskip("mxnet", reason="needs MXNet, which only the worker's environment has")


def embed(model: Path, architecture: Architecture, images: Array) -> Array:
    """MXNet's vectors of normalised images."""
    format_ = PixelFormat(images.shape[2], images.shape[3], "float32")
    return load_embedder(model, "cpu", format_, len(images)).embed(as_pixels(images, architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_parameter_table_is_the_networks_own(architecture: Architecture) -> None:
    network = build_network(architecture, (224, 224))
    network.initialize()
    network(mx.nd.zeros((1, 3, 224, 224))).wait_to_read()

    own = {name: tuple(parameter.shape) for name, parameter in network._collect_params_with_prefix().items()}

    assert list(own.items()) == list(parameter_shapes(architecture).items())


@pytest.mark.parametrize("architecture", ["resnet18_v1", "resnet18_v2"])
def test_the_older_names_are_gluons(architecture: Architecture) -> None:
    network = getattr(mx.gluon.model_zoo.vision, architecture)()

    own = {name.removeprefix(network.prefix) for name in network.collect_params()}

    assert own == {*legacy_names(architecture).values(), "dense0_weight", "dense0_bias"}
    ours_to_parameter = network._collect_params_with_prefix()
    for ours, theirs in legacy_names(architecture).items():
        assert ours_to_parameter[ours].name == network.prefix + theirs


def test_parameter_files_are_mxnets_byte_for_byte(tmp_path: Path) -> None:
    arrays = {
        name: np.arange(12).reshape(3, 4).astype(name) for name in ("float32", "float64", "float16", "int32", "int8")
    }
    mx.nd.save(str(tmp_path / "theirs"), {name: mx.nd.array(array, dtype=name) for name, array in arrays.items()})
    (tmp_path / "ours").write_bytes(write_params(arrays))

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    for name, array in mx.nd.load(str(tmp_path / "ours")).items():
        np.testing.assert_array_equal(array.asnumpy(), arrays[name])
    for name, back in read_params((tmp_path / "theirs").read_bytes(), where="theirs").items():
        assert back.dtype == arrays[name].dtype
        np.testing.assert_array_equal(back, arrays[name])


def test_numpy_shaped_parameter_files_are_read(tmp_path: Path) -> None:
    with mx.util.np_shape(True):
        mx.nd.save(str(tmp_path / "theirs"), {"a": mx.nd.ones((2, 3))})

    np.testing.assert_array_equal(read_params((tmp_path / "theirs").read_bytes(), where="x")["a"], np.ones((2, 3)))


def golden_images(golden: np.lib.npyio.NpzFile) -> dict[str, tuple[Array, Array]]:
    described = json.loads(str(golden["images"]))
    return {name: (seeded_images(seed, *size), golden[name]) for name, (seed, *size) in described.items()}


def test_torchvisions_weights_give_torchvisions_vectors(tmp_path: Path) -> None:
    parameters = rename("resnet18_v1", torchvision_names(), torchvision_state())
    model = write_model(tmp_path / "model", "resnet18_v1", parameters)
    with np.load(GOLDEN / "torch_resnet18.npz") as golden:
        for name, (images, expected) in golden_images(golden).items():
            vectors = embed(model, "resnet18_v1", images)

            assert vectors.shape == (len(images), 512)
            np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-4 * expected.max(), err_msg=name)


def test_the_trained_efficientnet_gives_its_packages_vectors(efficientnet: Path) -> None:
    with np.load(GOLDEN / "torch_efficientnet.npz") as golden:
        for name, (images, expected) in golden_images(golden).items():
            vectors = embed(efficientnet, "efficientnet_lite0", images)

            assert vectors.shape == (len(images), 1280)
            np.testing.assert_allclose(vectors, expected, atol=1e-4, err_msg=name)


def test_onednn_fusion_changes_nothing_that_matters(efficientnet: Path) -> None:
    images = seeded_images(11, 3, 224, 224)
    plain = build_network("efficientnet_lite0", (224, 224))
    plain.load_parameters(str(efficientnet / "weights.params"))

    fused = embed(efficientnet, "efficientnet_lite0", images)

    np.testing.assert_allclose(fused, plain(mx.nd.array(images)).asnumpy(), atol=1e-4)


def test_resnet18_v2_computes_with_one_whatever_gamma_its_first_norm_holds(tmp_path: Path) -> None:
    state = {name: array for name, array in gluon_state("resnet18_v2").items() if not name.startswith("output")}
    scale = {name: 0.05 if name.endswith("weight") else 1.0 for name in state}
    state = {name: array * np.float32(scale[name]) for name, array in state.items()}
    images = seeded_images(1, 2, 224, 224)

    def vectors(gamma: float, bias: float = 0.0) -> Array:
        beta = state["features.0.beta"] + np.float32(bias)
        changed = state | {"features.0.gamma": np.full(3, gamma, np.float32), "features.0.beta": beta}
        model = write_model(tmp_path / f"{gamma}-{bias}", "resnet18_v2", changed)
        return embed(model, "resnet18_v2", images)

    np.testing.assert_array_equal(vectors(7.0), vectors(1.0))
    assert np.abs(vectors(1.0, bias=1.0) - vectors(1.0)).max() > 0


def test_the_whole_networks_file_and_ours_give_the_same_vectors(tmp_path: Path) -> None:
    network = mx.gluon.model_zoo.vision.resnet18_v2()
    network.initialize(mx.init.Xavier())
    images = seeded_images(1, 2, 244, 224)
    expected = network.features(mx.nd.array(images)).asnumpy()
    network.save_parameters(str(tmp_path / "whole.params"))
    state = read_params((tmp_path / "whole.params").read_bytes(), where="whole")
    ours = {name: array for name, array in state.items() if not name.startswith("output")}
    model = write_model(tmp_path / "model", "resnet18_v2", ours)

    vectors = embed(model, "resnet18_v2", images)

    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-4)
