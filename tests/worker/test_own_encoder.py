"""Encoders of users' own: what is inspected, what is refused, and that the vectors are the network's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stepvec_worker.encoders.inspection import inspect
from stepvec_worker.encoders.preprocess_file import read_preprocess_file
from stepvec_worker.engines import load_embedder
from stepvec_worker.engines.onnx_graph import build_onnx
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import PixelFormat, pixel_format, prepare
from stepvec_worker.int8.calibration import cosines

from stepvec import codec
from stepvec.errors import ConfigurationError, WeightsError
from stepvec.rows.encoder import Encoder
from stepvec.rows.model import ENCODER_FILE, MODEL_FILE, ModelCard, ModelIdentity
from stepvec.weights.own_encoder import EncoderRequest, Inspection
from stepvec.weights.protobuf import message
from testkit import onnx_files
from testkit.onnx_files import FLOAT, UINT8, WRONG, computed, encoder, node, projection, value
from tests.worker.pictures import REPOSITORY, blocks
from tests.worker.vectors import vectors_of

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which only the worker's environment has")

PLAIN: dict[str, Any] = {"resize": 256, "crop": 224}
IMAGENET = PLAIN | {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
BYTES: dict[str, Any] = PLAIN | {"scale": 1}
FORMAT = PixelFormat(224, 224, "uint8")
REQUEST = EncoderRequest("mine", "", "it.onnx", "", "", "none", l2=False)


def look(data: bytes, preparation: dict[str, Any] = PLAIN, **about: Any) -> Inspection:
    request = replace(REQUEST, **about)
    return inspect(data, request, read_preprocess_file(json.dumps(preparation).encode(), "p.json"))


def model_of(folder: Path, data: bytes, found: Inspection) -> Path:
    """The model directory of an inspected file."""
    folder.mkdir(exist_ok=True)
    whole = data + bytes.fromhex(found.addition)
    card = ModelCard("mine", hashlib.sha256(whole).hexdigest(), "a test", "none", encoder=found.encoder)
    (folder / ENCODER_FILE).write_bytes(whole)
    (folder / MODEL_FILE).write_text(codec.to_json(card))
    return folder


@pytest.mark.parametrize("batch", [1, 5, 16, "batch"])
def test_vectors_are_the_networks(tmp_path: Path, batch: int | str) -> None:
    pixels = blocks(FORMAT, 7)
    expected = computed(pixels, projection(), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    data = encoder((batch, 3, 224, 224))

    found = look(data, IMAGENET)
    embedder = load_embedder(model_of(tmp_path / "m", data, found), "cpu", FORMAT, 4, engine="onnxruntime")

    assert (found.encoder.batch, found.encoder.dimension) == (0 if batch == "batch" else batch, 8)
    np.testing.assert_allclose(vectors_of(embedder, pixels), expected, rtol=1e-4, atol=1e-5)


def test_channels_last_bytes_and_blue_first(tmp_path: Path) -> None:
    """A file that takes (N, H, W, 3) bytes and normalises by itself, as the worker's own files do."""
    cast = message((1, "to"), (3, FLOAT), (20, 2))
    nodes = [
        node("Transpose", ["pixels"], ["first"], onnx_files.ints("perm", 0, 3, 1, 2)),
        node("Cast", ["first"], ["numbers"], cast),
        node("Conv", ["numbers", "weights"], ["patches"], onnx_files.ints("strides", 32, 32)),
        node("Relu", ["patches"], ["active"]),
        node("GlobalAveragePool", ["active"], ["pooled"]),
    ]
    data = onnx_files.model(
        nodes,
        [value("pixels", ("n", "h", "w", 3), UINT8)],
        [value("pooled", ("n", 8, 1, 1))],
        [onnx_files.tensor("weights", projection())],
    )
    pixels = blocks(FORMAT, 3)

    found = look(data, BYTES | {"channels": "bgr"})
    embedder = load_embedder(model_of(tmp_path / "m", data, found), "cpu", FORMAT, 3)

    assert (found.encoder.layout, found.encoder.element) == ("NHWC", "uint8")
    blue_first = [image[:, :, ::-1].astype(np.float64) * 255 for image in pixels]
    np.testing.assert_allclose(embedder.embed(pixels), computed(blue_first, projection()), rtol=1e-3, atol=1e-2)
    with pytest.raises(WeightsError, match="takes uint8"):
        look(data, IMAGENET)


def test_a_tensor_inside_becomes_the_output_pooled_and_normalised(tmp_path: Path) -> None:
    data, pixels = encoder(), blocks(FORMAT, 3)
    whole = computed(pixels, projection())

    found = look(data, output="active", pooling="mean", l2=True)
    embedder = load_embedder(model_of(tmp_path / "m", data, found), "cpu", FORMAT, 3)

    assert found.addition
    vectors = embedder.embed(pixels)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert cosines(vectors, whole).min() >= 0.99999
    with pytest.raises(WeightsError, match="nothing inside it is called so") as caught:
        look(data, output="actives")
    assert "active" in caught.value.remedy


def test_the_first_vector_of_many(tmp_path: Path) -> None:
    """As of a transformer, whose first vector is the image's."""
    nodes = [
        node("Flatten", ["active"], ["flat"], message((1, "axis"), (3, 2), (20, 2))),
        node("Reshape", ["flat", "shape"], ["maps"]),
        node("Transpose", ["maps"], ["tokens"], onnx_files.ints("perm", 0, 2, 1)),
    ]
    shape = onnx_files.tensor("shape", np.array([-1, 8, 49], np.int64))
    data = encoder(more=nodes, outputs=[value("tokens", ("n", 49, 8))]) + message((7, message((5, shape))))
    pixels = blocks(FORMAT, 3)
    with pytest.raises(WeightsError, match="several vectors") as caught:
        look(data)
    assert "--pooling first" in caught.value.remedy

    found = look(data, pooling="first")
    embedder = load_embedder(model_of(tmp_path / "m", data, found), "cpu", FORMAT, 3)

    corner = [image[:32, :32] for image in pixels]
    np.testing.assert_allclose(embedder.embed(pixels), computed(corner, projection()), rtol=1e-4, atol=1e-5)
    with pytest.raises(WeightsError, match="nothing to pool"):
        look(encoder(), pooling="mean")


def test_larger_images_where_the_file_says_no_size() -> None:
    preparation = {"resize": [518, 518], "layout": "NCHW"}
    found = look(encoder(("n", "c", "h", "w")), preparation)
    assert found.encoder.recipe.size == (518, 518)


def test_efficientnet_as_an_onnx_file_has_its_own_vectors(efficientnet: Path, tmp_path: Path) -> None:
    """The trained network, exported: what MXNet gives, on photos prepared as the file that describes it says."""
    from stepvec_worker.engines.parameters import read_parameters

    from stepvec.weights.model_directory import read_model_card

    card = read_model_card(efficientnet)
    data = build_onnx("efficientnet_lite0", read_parameters(efficientnet / "weights.params", card), FORMAT, None)
    photos = sorted((REPOSITORY / "photos" / "wardrobe").glob("*/*.jpg"))[::4]
    found = look(data, BYTES)
    pixels = [prepare(path.read_bytes(), DecodeLimits(), found.encoder.recipe) for path in photos]

    vectors = vectors_of(load_embedder(model_of(tmp_path / "m", data, found), "cpu", FORMAT, 16), pixels)

    assert found.encoder.dimension == 1280
    assert cosines(vectors, vectors_of(load_embedder(efficientnet, "cpu", FORMAT, 16), pixels)).min() >= 0.9999


def test_a_name_says_all_that_makes_a_vector(tmp_path: Path) -> None:
    data = encoder()
    found = look(data, PLAIN).encoder
    names = {
        found.preprocessing,
        look(data, PLAIN, l2=True).encoder.preprocessing,
        look(data, IMAGENET).encoder.preprocessing,
        look(data, PLAIN | {"resample": "bicubic"}).encoder.preprocessing,
    }
    assert len(names) == 4
    assert replace(found, tool="another", batch=3, peak_mib=9).preprocessing == found.preprocessing
    card = ModelCard("mine", "0" * 64, "a test", "none", encoder=found)
    identity = card.identity("standard-1")
    assert str(identity) == f"mine/000000000000/{found.preprocessing}/onnxruntime-float32"
    assert ModelIdentity.parse(str(identity)) == identity
    assert identity.dimension == 8
    for engine, precision in (("mxnet", "int8"), ("openvino", "bf16"), ("onnxruntime", "int8")):
        with pytest.raises(ConfigurationError, match="encoder of your own"):
            card.identity("standard-1", engine, precision)
    with pytest.raises(ConfigurationError, match="its own preprocessing"):
        card.identity("sample-1")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_end_in_a_line_with_a_remedy(name: str, tmp_path: Path) -> None:
    """In the process that `stepvec weights` starts: whatever the file does, it says so, within its limits."""
    file, preparation = tmp_path / name, tmp_path / "p.json"
    file.write_bytes(WRONG[name]())
    preparation.write_text(json.dumps(PLAIN))
    request = replace(REQUEST, file=str(file), where=name, preparation=str(preparation))

    result = subprocess.run(
        [sys.executable, "-m", "stepvec_worker.encoders.inspect_file"],
        input=codec.to_json(request),
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "worker_image")])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1, result.stderr
    told = json.loads(result.stdout)
    assert name in told["message"]
    assert told["remedy"].endswith((".", '"NHWC".'))


def test_what_an_encoder_takes_is_what_its_card_says(tmp_path: Path) -> None:
    data = encoder()
    model = model_of(tmp_path / "m", data, look(data))
    (model / ENCODER_FILE).write_bytes(encoder(weights=projection(seed=2)))
    with pytest.raises(WeightsError, match=r"model\.onnx has the sha256"):
        load_embedder(model, "cpu", FORMAT)
    assert pixel_format(look(data).encoder.recipe) == FORMAT


def test_an_encoder_in_a_card_is_read_again() -> None:
    found = look(encoder(), IMAGENET).encoder
    assert codec.from_json(Encoder, codec.to_json(found), where="it") == found
