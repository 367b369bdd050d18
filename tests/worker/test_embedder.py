from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stepvec_worker.engines import Embedder, load_embedder
from stepvec_worker.engines.embedder import normalisation
from stepvec_worker.engines.mxnet_engine import ENVIRONMENT
from stepvec_worker.images.preprocessing import PixelFormat

from stepvec.errors import ConfigurationError, DeviceError, WeightsError
from stepvec.rows.model import Architecture
from stepvec.weights.model_directory import read_model_card
from stepvec.weights.params_file import read_params
from tests.golden.seeded import Array
from tests.worker.conftest import write_model
from tests.worker.pictures import REPOSITORY

mx = pytest.importorskip("mxnet", reason="needs MXNet, which only the worker's environment has")

FORMAT = PixelFormat(224, 224, "uint8")
PACKAGES = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "worker_image")])
FORK_SECONDS = 90
"""Where it hangs, it does so for ever; where it does not, it takes 3 on an idle machine."""


def noise(count: int) -> list[Array]:
    """Pictures of coarse blocks, each another."""
    coarse = np.random.RandomState(4).randint(0, 256, (count, 14, 14, 3)).astype(np.uint8)
    return list(coarse.repeat(16, 1).repeat(16, 2))


@pytest.fixture(scope="module")
def embedder(efficientnet: Path) -> Embedder:
    return load_embedder(efficientnet, "cpu", FORMAT, batch_size=4)


def test_it_knows_what_it_is(embedder: Embedder, efficientnet: Path) -> None:
    assert embedder.card == read_model_card(efficientnet)
    assert (embedder.dimension, embedder.pixel_format, embedder.batch_size) == (1280, FORMAT, 4)
    assert embedder.running == "mxnet float32"
    assert str(embedder.card.identity("standard-1")).startswith("efficientnet_lite0/")


def test_a_vector_depends_on_nothing_but_its_image(embedder: Embedder, efficientnet: Path) -> None:
    images = noise(8)

    by_fours = np.concatenate([embedder.embed(images[:4]), embedder.embed(images[4:])])
    one_by_one = np.concatenate([embedder.embed(images[i : i + 1]) for i in range(8)])
    backwards = np.concatenate([embedder.embed(images[i - 3 : i][::-1])[::-1] for i in (3, 6, 8)])
    others = load_embedder(efficientnet, "cpu", FORMAT, batch_size=8).embed(images)

    assert by_fours.dtype == np.float32
    assert len(np.unique(by_fours, axis=0)) == 8
    np.testing.assert_array_equal(one_by_one, by_fours)
    np.testing.assert_array_equal(backwards[[0, 1, 2, 3, 4, 5, 7, 8]], by_fours[[0, 1, 2, 3, 4, 5, 6, 7]])
    np.testing.assert_array_equal(others, by_fours)


def test_vectors_are_the_callers_own(embedder: Embedder) -> None:
    images = noise(2)
    first = embedder.embed(images[:1])
    before = first.copy()

    embedder.embed(images[1:])

    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("shape", [(0, 224, 224, 3), (5, 224, 224, 3), (1, 244, 224, 3), (1, 3, 224, 224), (2, 224, 3)])
def test_a_batch_of_another_shape_is_refused(embedder: Embedder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="takes 1 to 4 images"):
        embedder.embed(list(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet18_v1", [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (51 / 255 - 0.406) / 0.225]),
        ("resnet18_v2", [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (51 / 255 - 0.406) / 0.225]),
        ("efficientnet_lite0", [128 / 128, -127 / 128, (51 - 127) / 128]),
    ],
)
def test_each_architecture_gets_the_numbers_it_was_trained_with(
    architecture: Architecture, expected: list[float]
) -> None:
    numbers = normalisation(architecture)
    np.testing.assert_allclose(np.array([255, 0, 51]) * numbers.scale + numbers.offset, expected, atol=1e-5)


def test_bytes_and_floats_of_the_same_pixels_give_the_same_vector(embedder: Embedder, efficientnet: Path) -> None:
    image = noise(1)[0]
    of_floats = load_embedder(efficientnet, "cpu", PixelFormat(224, 224, "float32"), 4)
    np.testing.assert_array_equal(of_floats.embed([image.astype(np.float32)]), embedder.embed([image]))


def test_a_gpu_that_is_not_there_is_a_device_error(efficientnet: Path) -> None:
    if mx.context.num_gpus():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=r"No GPU .* --device cpu"):
        load_embedder(efficientnet, "gpu", FORMAT)


def test_an_unknown_device_is_refused(efficientnet: Path) -> None:
    with pytest.raises(ConfigurationError, match="'tpu' is unknown"):
        load_embedder(efficientnet, "tpu", FORMAT)


def copy_of(model: Path, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    for file in model.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory


def test_a_changed_byte_in_the_weights_is_noticed(efficientnet: Path, tmp_path: Path) -> None:
    model = copy_of(efficientnet, tmp_path)
    data = bytearray((model / "weights.params").read_bytes())
    data[5000] ^= 1
    (model / "weights.params").write_bytes(data)

    with pytest.raises(WeightsError, match=r"weights\.params has the sha256 .* its card says"):
        load_embedder(model, "cpu", FORMAT)


@pytest.mark.parametrize("missing", ["weights.params", "model.json"])
def test_a_directory_without_a_model_is_a_weights_error(efficientnet: Path, tmp_path: Path, missing: str) -> None:
    model = copy_of(efficientnet, tmp_path)
    (model / missing).unlink()

    with pytest.raises(WeightsError, match=f"no .*{missing}"):
        load_embedder(model, "cpu", FORMAT)


def test_a_card_that_is_none_is_a_weights_error(efficientnet: Path, tmp_path: Path) -> None:
    model = copy_of(efficientnet, tmp_path)
    (model / "model.json").write_text("{}")

    with pytest.raises(WeightsError, match=r"model\.json"):
        load_embedder(model, "cpu", FORMAT)


def test_weights_of_another_architecture_are_refused(efficientnet: Path, tmp_path: Path) -> None:
    parameters = read_params((efficientnet / "weights.params").read_bytes(), where="it")
    model = write_model(tmp_path / "resnet", "resnet18_v2", parameters)

    with pytest.raises(WeightsError, match="does not hold resnet18_v2"):
        load_embedder(model, "cpu", FORMAT)


def test_a_parameter_too_few_or_too_many_is_refused(efficientnet: Path, tmp_path: Path) -> None:
    parameters = read_params((efficientnet / "weights.params").read_bytes(), where="it")
    fewer = {name: array for name, array in parameters.items() if name != "features.3.expand.norm.gamma"}
    more = parameters | {"features.99.weight": np.zeros(2, np.float32)}

    for number, wrong in enumerate((fewer, more)):
        model = write_model(tmp_path / str(number), "efficientnet_lite0", wrong)
        with pytest.raises(WeightsError, match="does not hold efficientnet_lite0"):
            load_embedder(model, "cpu", FORMAT)


def test_a_card_knows_its_dimension(efficientnet: Path) -> None:
    card = dataclasses.replace(read_model_card(efficientnet), architecture="resnet18_v1")
    assert card.identity("sample-1").dimension == 512


def test_a_network_that_is_dropped_while_it_computes_hinders_no_fork(efficientnet: Path) -> None:
    """MXNet waits for its threads before a fork, which holds Python's lock: none of them may want that lock."""
    script = (
        "import os, sys; from pathlib import Path; from stepvec_worker.engines import load_embedder;"
        "from stepvec_worker.images.preprocessing import PixelFormat\n"
        "for _ in range(3):\n"
        "    embedder = load_embedder(Path(sys.argv[1]), 'cpu', PixelFormat(224, 224, 'uint8'), 8)\n"
        "    embedder._network(embedder._input)\n"
        "    del embedder\n"
        "    os._exit(0) if os.fork() == 0 else os.wait()\n"
        "print('forked')"
    )

    result = subprocess.run(
        [sys.executable, "-c", script, str(efficientnet)],
        env={**os.environ, "PYTHONPATH": PACKAGES},
        capture_output=True,
        text=True,
        check=True,
        timeout=FORK_SECONDS,
    )

    assert result.stdout.strip() == "forked"


def test_importing_the_package_imports_no_mxnet_and_loading_sets_its_environment() -> None:
    script = (
        "import os, sys; import stepvec_worker.engines; assert 'mxnet' not in sys.modules;"
        "from stepvec_worker.engines.mxnet_engine import import_mxnet; import_mxnet();"
        "print(os.environ['OMP_NUM_THREADS'], os.environ['MXNET_CPU_WORKER_NTHREADS'])"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    environment["PYTHONPATH"] = PACKAGES

    for chosen, expected in (({}, "1 1"), ({"OMP_NUM_THREADS": "2"}, "2 1")):
        result = subprocess.run(
            [sys.executable, "-c", script], env=environment | chosen, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == expected
