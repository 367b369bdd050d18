"""int8 for encoders of users' own: near to float32, by a calibration that is in the name, or refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stepvec_worker.engines import load_embedder, openvino_engine
from stepvec_worker.engines.own_graph import quantisable, quantised, read_graph, tapped, weights_of
from stepvec_worker.images.preprocessing import PixelFormat
from stepvec_worker.int8.calibration import cosines, neighbours
from stepvec_worker.int8.networks import OwnNetwork
from stepvec_worker.int8.own import MIN_SPEEDUP, calibrate_own, speedup

from stepvec import codec
from stepvec.adapters.telemetry import logger
from stepvec.errors import ConfigurationError, WeightsError
from stepvec.rows.model import CALIBRATION_FILE, ENCODER_FILE, ModelIdentity
from stepvec.weights.make import add_calibration
from stepvec.weights.model_directory import ActivationRange, Calibration, read_model_card
from testkit import onnx_files
from testkit.onnx_files import deep_encoder, encoder, node, uneven_encoder, value, weightless_encoder
from tests.golden.seeded import Array
from tests.worker.pictures import REPOSITORY, encoded
from tests.worker.test_openvino import needs
from tests.worker.test_own_encoder import look, model_of
from tests.worker.vectors import vectors_of

pytest.importorskip("openvino", reason="needs OpenVINO, which only the worker's environment has")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which only the worker's environment has")

FORMAT = PixelFormat(224, 224, "uint8")
RANGE = ActivationRange(0.0, 1.0)


def colours(count: int, seed: int = 5) -> list[Array]:
    """Pictures of which each has colours of its own, so that an untrained network tells them apart."""
    random = np.random.RandomState(seed)
    base = random.uniform(30, 225, (count, 1, 1, 3))
    blocks = random.uniform(-60, 60, (count, 7, 7, 3)).repeat(32, 1).repeat(32, 2)
    return list(np.clip(base + blocks, 0, 255).astype(np.uint8))


def network(folder: Path, data: bytes) -> tuple[OwnNetwork, Path]:
    model = model_of(folder, data, look(data))
    card = read_model_card(model)
    assert card.encoder is not None
    return OwnNetwork(card, card.encoder, (model / ENCODER_FILE).read_bytes()), model


@pytest.fixture(scope="module", params=["batch", 5])
def calibrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Calibration]:
    """Of any batch, and of batches of five."""
    its, model = network(tmp_path_factory.mktemp("int8") / "model", deep_encoder((request.param, 3, 224, 224)))
    lines: list[str] = []
    calibration = calibrate_own(its, colours(40), lines.append, least=0)
    add_calibration(model, calibration)
    assert lines
    return model, calibration


def test_vectors_are_near_and_keep_their_neighbours(calibrated: tuple[Path, Calibration]) -> None:
    needs("int8")
    model, calibration = calibrated
    unseen = colours(40, seed=6)
    exact = vectors_of(load_embedder(model, "cpu", FORMAT, 16), unseen)

    embedder = load_embedder(model, "cpu", FORMAT, 16, engine="openvino", precision="int8")
    found = vectors_of(embedder, unseen)

    assert len(calibration.layers) >= 3
    assert embedder.running.startswith("openvino int8")
    assert not np.array_equal(found, exact)
    assert cosines(found, exact).mean() >= 0.99
    assert (neighbours(found) == neighbours(exact)).mean() >= 0.95


def test_a_vector_depends_on_nothing_but_its_image(calibrated: tuple[Path, Calibration]) -> None:
    pixels = colours(7)
    embedder = load_embedder(calibrated[0], "cpu", FORMAT, 7, engine="openvino", precision="int8")
    together = embedder.embed(pixels)
    alone = np.concatenate([embedder.embed([image]) for image in pixels])
    fewer = load_embedder(calibrated[0], "cpu", FORMAT, 2, engine="openvino", precision="int8")

    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(vectors_of(fewer, pixels), together)


def test_the_calibration_is_part_of_the_name(calibrated: tuple[Path, Calibration]) -> None:
    model, _ = calibrated
    card = read_model_card(model)
    identity = card.identity("standard-1", "openvino", "int8")
    sha256 = hashlib.sha256((model / CALIBRATION_FILE).read_bytes()).hexdigest()

    assert str(identity).endswith(f"/openvino-int8-{sha256[:8]}")
    assert ModelIdentity.parse(str(identity)) == identity
    assert card.identity("standard-1") != identity
    for engine, precision in (("openvino", "float32"), ("openvino", "bf16"), ("onnxruntime", "int8")):
        with pytest.raises(ConfigurationError, match="encoder of your own"):
            card.identity("standard-1", engine, precision)


def test_another_files_calibration_is_refused(calibrated: tuple[Path, Calibration], tmp_path: Path) -> None:
    needs("int8")
    data = deep_encoder(seed=4)
    model = model_of(tmp_path / "m", data, look(data))
    with pytest.raises(WeightsError, match="other weights"):
        add_calibration(model, calibrated[1])
    document = codec.to_document(calibrated[1]) | {
        "weights_sha256": read_model_card(model).weights_sha256,
        "layers": {"elsewhere": {"low": 0.0, "high": 1.0}},
    }
    add_calibration(model, codec.from_document(Calibration, document, where="it"))
    with pytest.raises(WeightsError, match="no layer elsewhere"):
        load_embedder(model, "cpu", FORMAT, engine="openvino", precision="int8")
    (model / CALIBRATION_FILE).write_text("{}")
    with pytest.raises(WeightsError, match=r"int8\.json has the sha256"):
        load_embedder(model, "cpu", FORMAT, engine="openvino", precision="int8")


def test_a_processor_without_the_instructions_computes_in_float32_and_says_so(
    calibrated: tuple[Path, Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = colours(3)
    exact = load_embedder(calibrated[0], "cpu", FORMAT, 3).embed(pixels)
    monkeypatch.setattr(openvino_engine, "cpu_flags", lambda: frozenset({"avx2"}))
    warnings: list[str] = []
    monkeypatch.setattr(logger, "warning", lambda text, **_: warnings.append(text))

    embedder = load_embedder(calibrated[0], "cpu", FORMAT, 3, engine="openvino", precision="int8")

    assert embedder.running == "openvino float32"
    assert cosines(embedder.embed(pixels), exact).min() >= 0.99999
    assert len(warnings) == 1


def refusal(folder: Path, data: bytes, least: float = MIN_SPEEDUP) -> str:
    its, _ = network(folder / "m", data)
    with pytest.raises(WeightsError) as caught:
        calibrate_own(its, colours(40), lambda _: None, least=least)
    assert "float32" in caught.value.remedy
    return caught.value.message


def test_an_encoder_that_loses_its_neighbours_is_refused(tmp_path: Path) -> None:
    assert "mine loses its neighbours in int8: with any of its 1 layers" in refusal(tmp_path, uneven_encoder())


def test_an_encoder_without_layers_of_weights_is_refused(tmp_path: Path) -> None:
    assert "nothing could compute in int8" in refusal(tmp_path, weightless_encoder())


def test_an_encoder_that_is_not_faster_is_refused(tmp_path: Path) -> None:
    needs("int8")
    assert "gains nothing in int8" in refusal(tmp_path, deep_encoder(), least=1_000)


def test_how_much_faster_is_found_by_running_both(tmp_path: Path) -> None:
    its, _ = network(tmp_path / "m", deep_encoder())
    exact = its.embedder({})
    assert 0.5 < speedup(exact, its.embedder({}), colours(4)) < 2


def test_linear_layers_count_and_products_of_two_activations_do_not(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["vector"], ["turned"], onnx_files.ints("perm", 1, 0)),
        node("MatMul", ["turned", "vector"], ["products"]),
        node("MatMul", ["vector", "products"], ["mixed"]),
    ]
    data = encoder(more=nodes, outputs=[value("vector", ("batch", 8)), value("mixed", ("batch", 8))])
    about = look(data, output="vector").encoder
    mixed = read_graph(
        data, codec.from_document(type(about), codec.to_document(about) | {"output": "mixed"}, where=""), 2
    )
    assert len(quantisable(mixed)) == 1

    data = deep_encoder()
    graph = read_graph(data, look(data).encoder, 2)
    shapes = [weights_of(layer).shape for layer in quantisable(graph).values()]
    assert shapes == [(64, 3, 4, 4), (64, 64, 3, 3), (64, 64, 3, 3), (64, 32)]
    before = len(graph.get_ordered_ops())
    (first, *_) = quantisable(graph)
    assert len(tapped(graph).outputs) == 5
    # A FakeQuantize of the activations and one of the weights, with four constants each; the original keeps its own.
    assert len(quantised(graph, {first: RANGE}).get_ordered_ops()) == before + 10
    assert len(graph.get_ordered_ops()) == before


def calibrating(model: Path, photos: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepvec_worker.int8.calibrate", "--model", str(model)],
        input=json.dumps(photos),
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "worker_image")])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    from PIL import Image

    files = []
    for number, pixels in enumerate(colours(32)):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    return [str(file) for file in files]


def test_the_process_with_limits_says_what_it_found(tmp_path: Path, photos: list[str]) -> None:
    data = deep_encoder()
    result = calibrating(model_of(tmp_path / "m", data, look(data)), photos)

    assert result.returncode == 0, result.stdout + result.stderr
    calibration = codec.from_json(Calibration, result.stdout, where="it")
    assert (calibration.architecture, calibration.photos) == ("mine", 32)
    assert "of 4 layers in int8" in result.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.write_bytes(deep_encoder(seed=9)), "has the sha256"),
        (lambda file: file.write_bytes(file.read_bytes()[:-5]), "has the sha256"),
    ],
)
def test_a_file_that_is_not_the_cards_is_not_read(
    tmp_path: Path, photos: list[str], spoil: Callable[[Path], Any], said: str
) -> None:
    data = deep_encoder()
    model = model_of(tmp_path / "m", data, look(data))
    spoil(model / ENCODER_FILE)

    result = calibrating(model, photos)

    assert result.returncode == 1
    assert said in json.loads(result.stdout)["message"]
