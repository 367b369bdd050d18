from __future__ import annotations

import socket
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from stepvec import codec
from stepvec.errors import StepvecError
from stepvec.rows.model import ModelCard
from stepvec.weights import sources
from stepvec.weights.params_file import write_params
from stepvec_cli.weights import weights
from tests.weights.states import gluon_state


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(weights)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(result: Result) -> str:
    """What the command says: itself, or by the error that it raises, which `stepvec_cli.failures` prints."""
    return f"{result.stderr} {result.exception if isinstance(result.exception, StepvecError) else ''}"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    monkeypatch.setenv("MXNET_GLUON_REPO", nobody)
    monkeypatch.setattr(sources.TorchvisionSource.__init__, "__defaults__", (nobody, "BSD-3-Clause"))


def test_without_a_network_efficientnet_is_made_and_said_to_be(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "model")

    assert result.exit_code == 0, result.output
    card = codec.from_json(ModelCard, (tmp_path / "model/model.json").read_bytes(), where="card")
    assert card.architecture == "efficientnet_lite0"
    assert card.license == "Apache-2.0"
    assert card.weights_sha256 in result.stdout
    assert result.stderr.count("cannot be reached (Connection refused)") == 2
    assert "No source of ResNet18 answered, so this is EfficientNet-Lite0." in result.stdout
    assert "1,280 numbers instead of 512" in result.stdout


def test_asking_for_efficientnet_is_no_surprise(tmp_path: Path) -> None:
    result = run("--out", tmp_path, "--source", "efficientnet-lite0")

    assert result.exit_code == 0
    assert "No source of ResNet18" not in result.output


def test_a_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "net.params").write_bytes(write_params(gluon_state("resnet18_v2")))

    result = run("--from", tmp_path / "net.params", "--out", tmp_path / "model")

    assert result.exit_code == 0, result.output
    assert "Made resnet18_v2 (512 numbers a vector)" in result.stdout
    assert "source     file net.params, licence not stated" in result.stdout


def test_none_reachable_is_exit_1_without_a_traceback(tmp_path: Path) -> None:
    result = run("--architecture", "resnet18_v1", "--out", tmp_path / "model")

    assert result.exit_code == 1
    assert result.stderr.count("cannot be reached") == 2
    assert "No weights were made." in told(result)
    assert "Give a weights file with --from" in told(result)
    assert "Traceback" not in result.output
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "missing.params"], "missing.params cannot be read"),
        (["--from", "s3://bucket"], "is not an S3 URI"),
        (["--from", "https://example.com/x"], "is not an S3 URI"),
        (["--source", "torchvision", "--architecture", "resnet18_v2"], "has no resnet18_v2"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments, "--out", tmp_path)

    assert result.exit_code == 1
    assert message in told(result)
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [["--source", "nowhere"], ["--architecture", "vgg"], ["--nothing"], ["--from", "x", "--source", "torchvision"]],
)
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
