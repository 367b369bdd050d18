"""Names of models, and which engine computes in what."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.assets import stage_worker_context
from stacks.config import read_config
from stacks.for_model import config_for
from stepvec import codec
from stepvec.client.planning import planned_model
from stepvec.errors import ConfigurationError, RecordError, WeightsError
from stepvec.rows.encoder import Encoder, Recipe
from stepvec.rows.model import CalibrationCard, ModelCard, ModelIdentity, check_encoder_name, check_engine
from stepvec.weights.make import add_calibration, write_encoder
from stepvec.weights.model_directory import ActivationRange, Calibration, read_model_card
from tests.fakes import MODEL

ROOT = Path(__file__).parent.parent.parent
CARD = ModelCard("resnet18_v2", "a81db45fd7b7" + "0" * 52, "file", "Apache-2.0")
CALIBRATED = dataclasses.replace(CARD, int8=CalibrationCard("0123abcd" + "0" * 56, 300, "openvino 1"))


@pytest.mark.parametrize(
    ("engine", "precision", "name"),
    [
        ("mxnet", "float32", MODEL),
        ("openvino", "float32", f"{MODEL}/openvino-float32"),
        ("openvino", "bf16", f"{MODEL}/openvino-bf16"),
        ("onnxruntime", "float32", f"{MODEL}/onnxruntime-float32"),
        ("onnxruntime", "float16", f"{MODEL}/onnxruntime-float16"),
        ("openvino", "int8", f"{MODEL}/openvino-int8-0123abcd"),
    ],
)
def test_names_round_trip(engine: str, precision: str, name: str) -> None:
    identity = CALIBRATED.identity("standard-1", engine, precision)

    assert str(identity) == name
    assert ModelIdentity.parse(name) == identity


@pytest.mark.parametrize(
    "part",
    [
        "",
        "mxnet-float32",
        "openvino",
        "openvino-int8",
        "openvino-int8-0123",
        "openvino-int4",
        "openvino-bf16-0123abcd",
        "onnxruntime",
        "onnxruntime-float16-0123abcd",
    ],
)
def test_what_names_no_engine_is_refused(part: str) -> None:
    with pytest.raises(RecordError, match="not the name of a model"):
        ModelIdentity.parse(f"{MODEL}/{part}")


def test_int8_needs_a_calibration() -> None:
    with pytest.raises(ConfigurationError, match="not been calibrated") as caught:
        CARD.identity("standard-1", "openvino", "int8")
    assert "stepvec calibrate" in caught.value.remedy


@pytest.mark.parametrize(
    ("engine", "precision"),
    [("mxnet", "bf16"), ("mxnet", "int8"), ("onnxruntime", "bf16"), ("tensorrt", "float32"), ("openvino", "fp8")],
)
def test_what_no_engine_computes_is_refused(engine: str, precision: str) -> None:
    with pytest.raises(ConfigurationError):
        check_engine(engine, precision)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"precision": "bf16"}, "float32 only"),
        ({"engine": "mxnet", "precision": "int8"}, "float32 only"),
        ({"engine": "onnx"}, "engine is 'onnx'"),
        ({"engine": "openvino", "precision": "fp16"}, "precision is 'fp16'"),
        ({"engine": "openvino", "device": "gpu"}, "CPUs only"),
        ({"engine": "onnxruntime", "precision": "float16"}, "for GPUs"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_config(settings)


def test_the_default_is_the_reference() -> None:
    assert (read_config({}).engine, read_config({}).precision) == ("mxnet", "float32")
    assert CARD.identity("standard-1").engine == "mxnet"
    assert read_config({"engine": "openvino", "precision": "int8"}).precision == "int8"


def test_a_card_of_before_calibrations_is_still_read() -> None:
    text = '{"architecture":"resnet18_v2","weights_sha256":"' + "0" * 64 + '","source":"s","license":"l"}'
    assert codec.from_json(ModelCard, text, where="it").int8 is None
    assert codec.from_json(ModelCard, codec.to_json(CALIBRATED), where="it") == CALIBRATED


RECIPE = Recipe((256,), (224, 224), "bicubic", "down", "rgb", 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ENCODER = Encoder(768, "pixels", "vector", "NCHW", "float32", 0, "none", False, RECIPE, "a test", 400)
OWN = ModelCard("clip-b32", "0123456789ab" + "0" * 52, "file", "MIT", encoder=ENCODER)


def test_an_encoder_of_ones_own_is_a_model_like_others() -> None:
    identity = OWN.identity("standard-1")

    assert re.fullmatch(r"clip-b32/0123456789ab/own-768-[0-9a-f]{8}/onnxruntime-float32", str(identity))
    assert ModelIdentity.parse(str(identity)) == identity
    assert (identity.dimension, OWN.dimension, identity.is_own) == (768, 768, True)
    assert codec.from_json(ModelCard, codec.to_json(OWN), where="it") == OWN
    assert "encoder" not in codec.to_json(CARD)


def test_an_encoder_of_ones_own_in_int8_has_its_calibration_in_its_name() -> None:
    with pytest.raises(ConfigurationError, match="not been calibrated"):
        OWN.identity("standard-1", "openvino", "int8")
    calibrated = dataclasses.replace(OWN, int8=CALIBRATED.int8)

    identity = calibrated.identity("standard-1", "openvino", "int8")

    assert str(identity) == str(OWN.identity("standard-1")).replace("onnxruntime-float32", "openvino-int8-0123abcd")
    assert ModelIdentity.parse(str(identity)) == identity
    assert calibrated.identity("standard-1") == OWN.identity("standard-1")
    for engine, precision in (
        ("mxnet", "int8"),
        ("onnxruntime", "int8"),
        ("openvino", "float32"),
        ("openvino", "bf16"),
    ):
        with pytest.raises(ConfigurationError, match="openvino in int8, and not"):
            calibrated.identity("standard-1", engine, precision)


@pytest.mark.parametrize(
    "name",
    [
        "clip/0123456789ab/own-768-01234567", "clip/0123456789ab/own-768-01234567/mxnet-float32",
        "clip/0123456789ab/standard-1/onnxruntime-float32", "Clip/0123456789ab/own-768-01234567/onnxruntime-float32",
        "../x/0123456789ab/own-768-01234567/onnxruntime-float32",
        "c/0123456789ab/own-76800-01234567/onnxruntime-float32", "c/0123456789ab/own-768-01234567/openvino-float32",
        "c/0123456789ab/own-768-01234567/openvino-int8", "c/0123456789ab/own-768-01234567/onnxruntime-int8-01234567",
    ],
)  # fmt: skip
def test_what_names_no_encoder_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match="not the name of a model"):
        ModelIdentity.parse(name)


@pytest.mark.parametrize("name", ["resnet18_v2", "", "My Encoder", "a" * 41, "-x", "a/b"])
def test_encoders_have_names_of_their_own(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be named"):
        check_encoder_name(name)


def test_an_encoder_is_planned_as_it_is() -> None:
    name = str(OWN.identity("standard-1"))
    assert str(planned_model(name, architecture=None, engine=None, precision=None)) == name
    with pytest.raises(ConfigurationError, match="encoder of your own"):
        planned_model(name, architecture=None, engine="openvino", precision=None)
    quantised = planned_model(name, architecture=None, engine="openvino", precision="int8")
    assert str(quantised) == name.replace("onnxruntime-float32", "openvino-int8-00000000")
    deployed = str(quantised).replace("00000000", "0123abcd")
    assert str(planned_model(deployed, architecture=None, engine=None, precision=None)) == deployed
    assert str(planned_model(deployed, architecture=None, engine="onnxruntime", precision="float32")) == name
    other = planned_model(name, architecture="resnet18_v2", engine="openvino", precision="bf16")
    assert str(other) == "resnet18_v2/000000000000/standard-1/openvino-bf16"


@pytest.mark.parametrize(("peak", "memory", "families"), [(400, 1_800, "c"), (850, 2_050, "m"), (2_400, 3_600, "m")])
def test_a_jobs_memory_follows_from_what_the_encoder_took(peak: int, memory: int, families: str) -> None:
    card = dataclasses.replace(OWN, encoder=dataclasses.replace(ENCODER, peak_mib=peak))
    config, model = config_for(read_config({}), card)
    assert (config.hardware.memory_mib, model) == (memory, card.identity("standard-1"))
    assert config.hardware.families[0].startswith(families)
    assert config_for(read_config({}), CARD)[0] == read_config({})


def test_what_does_not_fit_is_said() -> None:
    large = dataclasses.replace(OWN, encoder=dataclasses.replace(ENCODER, peak_mib=2_500))
    with pytest.raises(ConfigurationError, match="a job would need 3,700 MiB, and may have 3,600"):
        config_for(read_config({}), large)
    with pytest.raises(ConfigurationError, match="CPUs only"):
        config_for(read_config({"device": "gpu"}), OWN)


def test_the_image_carries_the_encoder_and_its_build_checks_it(tmp_path: Path) -> None:
    directory = model(tmp_path / "model")
    (directory / ".copy").write_bytes(b"an encoder")
    card = dataclasses.replace(OWN, weights_sha256=hashlib.sha256(b"an encoder").hexdigest())
    write_encoder(directory, directory / ".copy", card)

    assert sorted(path.name for path in directory.iterdir()) == ["model.json", "model.onnx"]
    assert read_model_card(directory) == card
    staged = stage_worker_context(ROOT, tmp_path / "staged", directory) / "model"
    assert sums_of(staged) == ["model.onnx"]
    (staged / "model.onnx").write_bytes(b"another")
    with pytest.raises(subprocess.CalledProcessError):
        sums_of(staged)


def model(directory: Path) -> Path:
    directory.mkdir()
    (directory / "weights.params").write_bytes(b"weights")
    card = ModelCard("resnet18_v2", hashlib.sha256(b"weights").hexdigest(), "a test", "none")
    (directory / "model.json").write_text(codec.to_json(card))
    return directory


def calibration(weights_sha256: str) -> Calibration:
    layers = {"features.1": ActivationRange(0.0, 6.0)}
    return Calibration("resnet18_v2", weights_sha256, "openvino 1", 300, 0.999, 0.98, layers)


def test_a_calibration_is_named_in_the_card(tmp_path: Path) -> None:
    directory = model(tmp_path / "model")
    card = add_calibration(directory, calibration(read_model_card(directory).weights_sha256))

    assert read_model_card(directory) == card
    assert card.int8 is not None
    assert (card.int8.photos, card.int8.tool) == (300, "openvino 1")
    (directory / "int8.json").unlink()
    with pytest.raises(WeightsError, match=r"no .*int8\.json"):
        read_model_card(directory)


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="other weights"):
        add_calibration(model(tmp_path / "model"), calibration("0" * 64))


def test_the_image_carries_the_calibration_and_its_build_checks_it(tmp_path: Path) -> None:
    directory = model(tmp_path / "model")
    assert sums_of(stage_worker_context(ROOT, tmp_path / "plain", directory) / "model") == ["weights.params"]
    add_calibration(directory, calibration(read_model_card(directory).weights_sha256))
    staged = stage_worker_context(ROOT, tmp_path / "calibrated", directory) / "model"
    assert sums_of(staged) == ["weights.params", "int8.json"]

    (staged / "int8.json").write_text("{}")
    with pytest.raises(subprocess.CalledProcessError):
        sums_of(staged)


def sums_of(folder: Path) -> list[str]:
    """What the Dockerfile's own lines check in `folder`. Raises CalledProcessError where a file is not its card's."""
    dockerfile = (ROOT / "worker_image" / "Dockerfile").read_text()
    command = dockerfile.split("COPY model .\nRUN ")[1].split("\n\n")[0].replace("\\\n", "")
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    subprocess.run(["/bin/sh", "-ec", command], cwd=folder, env=path, check=True, capture_output=True)
    return [line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
