"""Encoders of users' own through the whole pipeline: made a model by the command, deployed, run, and read back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from local_pipeline.encoder_inspection import make_encoder_model
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON
from localaws import EmbeddedCloud
from stacks.app import build_app
from stepvec.rows.model import ModelCard, ModelIdentity
from stepvec.rows.vectors import decode_vector
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.main import app
from testkit.onnx_files import computed, deep_encoder, encoder, projection
from testkit.trained_encoders import MISSING, TRAINED, TrainedEncoder
from tests.conftest import ROOT
from tests.local.conftest import Pipeline, photo

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
WARDROBE = ROOT / "photos" / "wardrobe"


@dataclass(frozen=True)
class Deployed:
    pipeline: Pipeline
    card: ModelCard


@contextmanager
def deployed(folder: Path, model: Path, settings: dict[str, str] | None = None) -> Iterator[Deployed]:
    """The pipeline with this model on an embedded AWS of its own."""
    assembly = folder / "assembly"
    build_app(folder / "staging", outdir=assembly, model_directory=model, overrides=dict(settings or {})).synth()
    with EmbeddedCloud.start(assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=1) as cloud:
        yield Deployed(Pipeline(cloud), read_model_card(model))


def test_an_encoder_of_ones_own_from_its_file_to_its_rows(tmp_path: Path) -> None:
    """What is in the table is what numpy computes of the photos that Pillow prepares."""
    (tmp_path / "mine.onnx").write_bytes(encoder(("batch", 3, "height", "width")))
    preparation = {
        "do_resize": True, "size": {"shortest_edge": 256}, "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224}, "resample": 3, "image_mean": MEAN, "image_std": STD,
        "image_processor_type": "CLIPImageProcessor",
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preparation))
    made = CliRunner().invoke(
        app,
        [
            "weights", "--from", str(tmp_path / "mine.onnx"),
            "--preprocess", str(tmp_path / "preprocessor_config.json"),
            "--license", "MIT", "--out", str(tmp_path / "model"), "--json",
        ],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    answer = json.loads(made.stdout)
    assert (answer["dimensions"], answer["model"]["architecture"]) == (8, "mine")
    photos = {f"photos/{number}.jpg": photo(number, size=(400, 300)) for number in range(5)}
    with deployed(tmp_path, tmp_path / "model") as its:
        for key, body in photos.items():
            its.pipeline.put(key, body)
        first = its.pipeline.run({"Paths": ["photos"]})
        again = its.pipeline.run({"Paths": ["photos"]})
        rows = [its.pipeline.row(key) for key in photos]

    assert (first.counts(), again.counts()) == ({"embedded": 5}, {"unchanged": 5})
    model = ModelIdentity.parse(rows[0].model)
    assert model == its.card.identity("standard-1")
    assert (model.architecture, model.dimension, model.engine) == ("mine", 8, "onnxruntime")
    expected = computed([prepared(body) for body in photos.values()], projection(), MEAN, STD)
    found = np.stack([decode_vector(row) for row in rows])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_an_encoder_of_ones_own_in_int8_from_its_calibration_to_its_rows(tmp_path: Path) -> None:
    """The command calibrates, the deployment computes in int8, and each row says so: near to the rows in float32."""
    (tmp_path / "mine.onnx").write_bytes(deep_encoder())
    (tmp_path / "p.json").write_text(json.dumps({"resize": 256, "crop": 224}))
    (tmp_path / "photos").mkdir()
    photos = {f"photos/{number}.jpg": photo(number, size=(400, 300)) for number in range(36)}
    for name, body in photos.items():
        (tmp_path / name).write_bytes(body)
    model = str(tmp_path / "model")
    made = ["weights", "--from", str(tmp_path / "mine.onnx"), "--preprocess", str(tmp_path / "p.json"), "--out", model]
    assert CliRunner().invoke(app, made).exit_code == 0

    calibrated = CliRunner().invoke(app, ["calibrate", str(tmp_path / "photos"), "--model", model, "--json"])

    assert calibrated.exit_code == 0, calibrated.output
    answer = json.loads(calibrated.stdout)
    assert (answer["photos"], answer["architecture"]) == (36, "mine")
    rows = {}
    for name, settings in (("float32", {}), ("int8", {"engine": "openvino", "precision": "int8"})):
        (tmp_path / name).mkdir()
        with deployed(tmp_path / name, tmp_path / "model", settings) as its:
            for key, body in photos.items():
                its.pipeline.put(key, body)
            assert its.pipeline.run({"Paths": ["photos"]}).counts() == {"embedded": 36}
            rows[name] = [its.pipeline.row(key) for key in photos]
            card = its.card
    assert {row.model for row in rows["float32"]} == {str(card.identity("standard-1"))}
    assert {row.model for row in rows["int8"]} == {str(card.identity("standard-1", "openvino", "int8"))}
    assert {row.data_type for row in rows["int8"]} == {"float32"}
    exact, found = (np.stack([decode_vector(row) for row in rows[name]]) for name in ("float32", "int8"))
    assert not np.array_equal(exact, found)
    assert ((exact * found).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(found, axis=1)).min() >= 0.99


def prepared(data: bytes) -> np.typing.NDArray[np.uint8]:
    """As transformers' CLIPImageProcessor does it, before it scales and normalises."""
    image = Image.open(io.BytesIO(data))
    array = np.array(image.resize((int(256 * image.width / image.height), 256), Image.Resampling.BICUBIC))
    top, left = (array.shape[0] - 224) // 2, (array.shape[1] - 224) // 2
    return array[top : top + 224, left : left + 224]


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: trained.name)
def test_trained_encoders_of_others_run_through_the_pipeline(trained: TrainedEncoder, tmp_path: Path) -> None:
    if not trained.file.exists():
        pytest.skip(MISSING)
    make_encoder_model(trained.request(tmp_path), tmp_path / "model", "PyPI", "MIT")
    photos = {path.relative_to(WARDROBE).as_posix(): path for path in sorted(WARDROBE.glob("*/*.jpg"))[::2]}
    with deployed(tmp_path, tmp_path / "model") as its:
        for key, path in photos.items():
            its.pipeline.put(f"photos/{key}", path.read_bytes())
        ended = its.pipeline.run({"Paths": ["photos"]})
        rows = [its.pipeline.row(f"photos/{key}") for key in photos]

    assert ended.counts() == {"embedded": len(photos)}
    vectors = np.stack([decode_vector(row) for row in rows]).astype(np.float64)
    assert vectors.shape == (len(photos), trained.dimension)
    assert {row.model for row in rows} == {str(its.card.identity("standard-1"))}
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T - 2 * np.eye(len(unit))
    kinds = np.array([key.split("/")[0] for key in photos])
    # Of six kinds of clothes one in six would be right by chance.
    assert (kinds[likeness.argmax(axis=1)] == kinds).mean() >= 0.3
