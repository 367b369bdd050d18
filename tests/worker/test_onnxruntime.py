"""ONNX Runtime: the same weights from an ONNX file, the same vectors as MXNet's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stepvec_worker.engines import load_embedder
from stepvec_worker.engines.onnx_graph import INPUT, OPSET, OUTPUT, build_onnx
from stepvec_worker.engines.onnxruntime_engine import open_session
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import PixelFormat, pixel_format, prepare
from stepvec_worker.int8.calibration import cosines, neighbours

from stepvec.errors import ConfigurationError, DeviceError, WeightsError
from stepvec.rows.model import ARCHITECTURES, DIMENSIONS, PREPROCESSINGS, Architecture, Preprocessing
from stepvec.weights.model_directory import read_model_card
from testkit.seeded_model import seeded_parameters
from tests.worker.conftest import write_model
from tests.worker.pictures import REPOSITORY, blocks
from tests.worker.vectors import check_vectors_are_mxnets, vectors_of

pytest.importorskip("mxnet", reason="compares with MXNet, which only the worker's environment has")
onnx = pytest.importorskip("onnx", reason="asks ONNX's own checker, which comes with the worker's tests")

WARDROBE = sorted((REPOSITORY / "photos" / "wardrobe").glob("*/*.jpg"))
"""The demo's photos, without the one that breaks off."""
SMALL = PixelFormat(33, 48, "uint8")
"""An odd side: what "SAME" pads then differs between the sides."""


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_vectors_are_mxnets(
    models: dict[Architecture, Path], architecture: Architecture, preprocessing: Preprocessing
) -> None:
    check_vectors_are_mxnets(models[architecture], "onnxruntime", preprocessing)


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_real_photos_have_mxnets_vectors_and_neighbours(efficientnet: Path, preprocessing: Preprocessing) -> None:
    format_ = pixel_format(preprocessing)
    pixels = [prepare(path.read_bytes(), DecodeLimits(), preprocessing) for path in WARDROBE]
    expected = vectors_of(load_embedder(efficientnet, "cpu", format_), pixels)

    found = vectors_of(load_embedder(efficientnet, "cpu", format_, engine="onnxruntime"), pixels)

    assert len(pixels) >= 50
    assert cosines(found, expected).min() >= 0.9999
    assert (neighbours(found) == neighbours(expected)).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_file_is_one_that_onnx_itself_accepts(architecture: Architecture) -> None:
    parameters = seeded_parameters(architecture)
    model = onnx.load_model_from_string(build_onnx(architecture, parameters, SMALL, None))

    onnx.checker.check_model(model, full_check=True)

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    assert [entry.name for entry in inferred.input] == [INPUT]
    assert [entry.name for entry in inferred.output] == [OUTPUT]
    shape = [axis.dim_param or axis.dim_value for axis in inferred.output[0].type.tensor_type.shape.dim]
    assert shape == ["batch", DIMENSIONS[architecture]]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float16_is_a_file_that_onnx_itself_accepts_and_computes_in_it(architecture: Architecture) -> None:
    built = build_onnx(architecture, seeded_parameters(architecture), SMALL, 2, is_half=True)
    model = onnx.load_model_from_string(built)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
    convolutions = [node for node in inferred.node if node.op_type == "Conv"]
    assert {types[node.output[0]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
    # Vectors are as they are in float32; so is the mean over the picture.
    assert types[OUTPUT] == onnx.TensorProto.FLOAT
    (mean,) = [node for node in inferred.node if node.op_type == "GlobalAveragePool"]
    assert types[mean.input[0]] == onnx.TensorProto.FLOAT
    # Half of the weights' bytes.
    assert len(built) < 0.52 * len(build_onnx(architecture, seeded_parameters(architecture), SMALL, 2))


def test_float16s_vectors_are_float32s(efficientnet: Path) -> None:
    """On the CPU, which rounds as a GPU does and adds up in float32: what float16 itself costs."""
    format_ = pixel_format("standard-1")
    pixels = [prepare(path.read_bytes(), DecodeLimits(), "standard-1") for path in WARDROBE]
    expected = vectors_of(load_embedder(efficientnet, "cpu", format_, engine="onnxruntime"), pixels)

    embedder = load_embedder(efficientnet, "cpu", format_, engine="onnxruntime", precision="float16")
    found = vectors_of(embedder, pixels)

    assert embedder.running == "onnxruntime float32 (weights of float16)"
    assert not np.array_equal(found, expected)
    assert cosines(found, expected).min() >= 0.9999
    assert (neighbours(found) == neighbours(expected)).mean() >= 0.98


def test_a_vector_depends_on_nothing_but_its_image(models: dict[Architecture, Path]) -> None:
    pixels = blocks(SMALL, 8)
    model = models["efficientnet_lite0"]
    embedder = load_embedder(model, "cpu", SMALL, 4, engine="onnxruntime")

    by_fours = vectors_of(embedder, pixels)
    one_by_one = np.concatenate([embedder.embed([image]) for image in pixels])
    others = load_embedder(model, "cpu", SMALL, 8, engine="onnxruntime").embed(pixels)

    assert len(np.unique(by_fours, axis=0)) == 8
    np.testing.assert_array_equal(one_by_one, by_fours)
    np.testing.assert_allclose(others, by_fours, atol=1e-5 * np.abs(by_fours).max())


def test_any_number_of_images_where_no_batch_size_is_said(models: dict[Architecture, Path]) -> None:
    model, pixels = models["resnet18_v1"], blocks(SMALL, 3)
    parameters = read_parameters(model / "weights.params", read_model_card(model))
    session = open_session(build_onnx("resnet18_v1", parameters, SMALL, None))
    expected = load_embedder(model, "cpu", SMALL, 3, engine="onnxruntime").embed(pixels)

    for count in (1, 2, 3):
        (found,) = session.run([OUTPUT], {INPUT: np.stack(pixels[:count])})
        np.testing.assert_allclose(found, expected[:count], atol=1e-5 * np.abs(expected).max())


def test_what_it_cannot_do_is_refused(models: dict[Architecture, Path], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no CUDA") as refusal:
        load_embedder(models["resnet18_v1"], "gpu", SMALL, engine="onnxruntime")
    assert "gpu-onnxruntime" in refusal.value.remedy
    with pytest.raises(ConfigurationError, match="Device 'tpu' is unknown"):
        load_embedder(models["resnet18_v1"], "tpu", SMALL, engine="onnxruntime")
    with pytest.raises(ConfigurationError, match="float32 or float16, not in bf16"):
        load_embedder(models["resnet18_v1"], "cpu", SMALL, engine="onnxruntime", precision="bf16")
    wrong = write_model(tmp_path / "wrong", "resnet18_v2", seeded_parameters("resnet18_v1"))
    with pytest.raises(WeightsError, match="does not hold resnet18_v2"):
        load_embedder(wrong, "cpu", SMALL, engine="onnxruntime")


def test_it_tells_nobody_of_its_use(tmp_path: Path) -> None:
    """Left alone, it starts a thread that tells Microsoft of each session, and keeps its machine's id in the home."""
    code = """
import os
def threads(): return len(os.listdir("/proc/self/task"))
import numpy
before = threads()
{load}
print(threads() - before)
"""
    loads = {
        "ours": "from stepvec_worker.engines.onnxruntime_engine import import_onnxruntime; import_onnxruntime()",
        "bare": "import onnxruntime",
    }
    found = {}
    for name, load in loads.items():
        home = tmp_path / name
        home.mkdir()
        environment = {
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "worker_image")]),
        }
        output = subprocess.check_output([sys.executable, "-c", code.format(load=load)], env=environment, text=True)
        found[name] = (int(output), any(home.iterdir()))

    assert found == {"ours": (0, False), "bare": (1, True)}


def test_its_session_takes_one_thread() -> None:
    """A process for each vCPU: threads beside them would only get in each other's way."""
    before = threads()
    session = open_session(build_onnx("resnet18_v1", seeded_parameters("resnet18_v1"), SMALL, 4))
    session.run([OUTPUT], {INPUT: np.zeros((4, *SMALL.shape), np.uint8)})

    assert threads() == before


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
