from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from stepvec.errors import WeightsError
from stepvec.rows.model import ARCHITECTURES, DIMENSIONS, Architecture
from stepvec.weights import formats
from stepvec.weights.formats import file_in_zip, read_weights
from stepvec.weights.parameter_names import legacy_names
from stepvec.weights.params_file import write_params
from stepvec.weights.specs import IGNORED_GAMMA, parameter_shapes
from tests.golden.seeded import Array
from tests.weights.states import gluon_state, torchvision_state
from tests.weights.torch_pickles import legacy_file, views, zip_file


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gluons_own_file_is_recognised_and_loses_only_its_classifier(architecture: Architecture) -> None:
    state = gluon_state(architecture)

    weights = read_weights(write_params(state), where="a file")

    assert weights.architecture == architecture
    assert list(weights.parameters) == [name for name in state if not name.startswith("output.")]
    for name, array in weights.parameters.items():
        if (architecture, name) != ("resnet18_v2", IGNORED_GAMMA):
            np.testing.assert_array_equal(array, state[name], err_msg=name)


def test_the_gamma_that_mxnet_ignores_does_not_make_another_model() -> None:
    state = gluon_state("resnet18_v2")
    other = state | {IGNORED_GAMMA: state[IGNORED_GAMMA] + 5}

    first, second = (read_weights(write_params(each), where="a file").parameters for each in (state, other))

    assert write_params(first) == write_params(second)
    np.testing.assert_array_equal(first[IGNORED_GAMMA], np.ones(3))


@pytest.mark.parametrize("architecture", ["resnet18_v1", "resnet18_v2"])
@pytest.mark.parametrize("prefix", ["", "resnetv20_", "arg:resnetv10_"])
def test_older_names_of_gluon_give_the_same_weights(architecture: Architecture, prefix: str) -> None:
    state = gluon_state(architecture)
    older = {prefix + theirs: state[ours] for ours, theirs in legacy_names(architecture).items()}
    older[f"{prefix}dense0_weight"] = state["output.weight"]

    weights = read_weights(write_params(older), where="a file")

    assert weights.architecture == architecture
    assert write_params(weights.parameters) == write_params(read_weights(write_params(state), where="a").parameters)


@pytest.mark.parametrize("write", [legacy_file, zip_file])
def test_torchvisions_file_becomes_resnet18_v1(write: object) -> None:
    state = torchvision_state()
    assert len(state) == 122

    weights = read_weights(write(views(state)), where="a file")  # type: ignore[operator]

    assert weights.architecture == "resnet18_v1"
    assert list(weights.parameters) == list(parameter_shapes("resnet18_v1"))
    np.testing.assert_array_equal(weights.parameters["features.0.weight"], state["conv1.weight"])
    np.testing.assert_array_equal(weights.parameters["features.5.0.body.3.weight"], state["layer2.0.conv2.weight"])
    np.testing.assert_array_equal(
        weights.parameters["features.6.0.downsample.1.gamma"], state["layer3.0.downsample.1.weight"]
    )
    np.testing.assert_array_equal(weights.parameters["features.7.1.body.4.beta"], state["layer4.1.bn2.bias"])
    np.testing.assert_array_equal(weights.parameters["features.1.running_var"], state["bn1.running_var"])


def test_the_model_stores_archive_is_opened() -> None:
    params = write_params(gluon_state("resnet18_v2"))

    weights = read_weights(zipped({"resnet18_v2-a81db45f.params": params}), where="a file")

    assert weights.architecture == "resnet18_v2"


def test_half_and_double_precision_become_single() -> None:
    state = gluon_state("resnet18_v1")
    half = {name: array.astype(np.float16) for name, array in state.items()}

    weights = read_weights(write_params(half), where="a file")

    assert {array.dtype for array in weights.parameters.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(weights.parameters["features.0.weight"], half["features.0.weight"].astype(np.float32))


def changed(name: str, array: Array | None) -> bytes:
    state = gluon_state("resnet18_v1")
    if array is None:
        del state[name]
    else:
        state[name] = array
    return write_params(state)


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("features.5.1.body.3.weight", None, "features.5.1.body.3.weight is missing"),
        ("features.1.beta", np.zeros(65, np.float32), r"features.1.beta has the shape \(65,\), not \(64,\)"),
        ("features.1.beta", np.zeros(64, np.int32), "features.1.beta holds int32"),
        ("features.1.beta", np.full(64, np.nan, np.float32), "features.1.beta holds infinities or NaN"),
        ("features.1.beta", np.full(64, 1e300), "features.1.beta holds infinities or NaN"),
        ("features.5.2.body.0.weight", np.zeros(3, np.float32), "features.5.2.body.0.weight belongs to none"),
    ],
)
def test_the_first_wrong_parameter_is_named(name: str, array: Array | None, problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        read_weights(changed(name, array), where="a file")


def test_a_deeper_torchvision_network_is_no_resnet18() -> None:
    state = torchvision_state() | {"layer3.2.conv1.weight": np.zeros((2, 2), np.float32)}

    with pytest.raises(WeightsError, match=r"layer3\.2\.conv1\.weight belongs to none"):
        read_weights(legacy_file(views(state)), where="a file")


def test_another_architecture_than_wanted_is_refused() -> None:
    with pytest.raises(WeightsError, match="a file holds resnet18_v2, not resnet18_v1"):
        read_weights(write_params(gluon_state("resnet18_v2")), where="a file", architecture="resnet18_v1")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "breaks off"),
        (b"<html>not found</html>" * 9, "is not an MXNet parameter file"),
        (write_params({"w": np.zeros(3, np.float32)}), "holds none of the parameters"),
        (zipped({"readme.txt": b""}), "holds 0 files"),
        (zipped({"a.params": b"", "b.params": b""}), "holds 2 files"),
        (zipped({"a.params": b"x" * 999})[:60], "damaged zip file"),
    ],
)
def test_what_is_no_weights_file_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(WeightsError, match=problem):
        read_weights(data, where="a file")


def test_a_zip_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 1000)

    with pytest.raises(WeightsError, match="more than 1,000 bytes"):
        file_in_zip(zipped({"a.params": bytes(1001)}), ".params", where="a file")
    assert file_in_zip(zipped({"a.params": bytes(1000)}), ".params", where="a file") == bytes(1000)


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 1000)
    bomb = zipped({"a.params": bytes(50_000_000)})

    tracemalloc.start()
    with pytest.raises(WeightsError, match="more than 1,000 bytes"):
        file_in_zip(bomb, ".params", where="a file")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


def test_a_damaged_archive_is_a_weights_error() -> None:
    whole = zipped({"a.params": write_params({"w": np.arange(40, dtype=np.float32)})})
    for place in range(len(whole)):
        broken = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with pytest.raises(WeightsError):
            read_weights(broken, where="a file")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_last_layers_width_is_the_dimension(architecture: Architecture) -> None:
    assert next(reversed(parameter_shapes(architecture).values())) == (DIMENSIONS[architecture],)
