from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepvec import codec
from stepvec.errors import WeightsError
from stepvec.rows.model import ModelCard
from stepvec.weights.formats import Weights, read_weights
from stepvec.weights.make import make_model
from stepvec.weights.params_file import write_params
from tests.weights.states import gluon_state

WEIGHTS = read_weights(write_params(gluon_state("resnet18_v1")), where="a file")


@dataclass
class Fake:
    name: str
    weights: Weights | None = None
    license: str = "Apache-2.0"

    def load(self) -> Weights:
        if self.weights is None:
            raise WeightsError(f"{self.name} is out of order.", remedy="Wait.")
        return self.weights


def test_the_first_source_that_answers_is_used(tmp_path: Path) -> None:
    lines: list[str] = []
    sources = [Fake("one"), Fake("two", WEIGHTS), Fake("three", WEIGHTS)]

    card = make_model(sources, tmp_path / "new" / "model", lines.append)

    data = (tmp_path / "new/model/weights.params").read_bytes()
    assert card == ModelCard("resnet18_v1", hashlib.sha256(data).hexdigest(), "two", "Apache-2.0")
    assert codec.from_json(ModelCard, (tmp_path / "new/model/model.json").read_bytes(), where="card") == card
    assert read_weights(data, where="it").architecture == "resnet18_v1"
    assert lines[0] == "one: one is out of order."
    assert lines[1].startswith("two: resnet18_v1, ")
    assert len(lines) == 2


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_model([Fake(name, WEIGHTS)], tmp_path / name, lambda _: None)

    assert (tmp_path / "a/weights.params").read_bytes() == (tmp_path / "b/weights.params").read_bytes()


def test_files_can_be_read_by_the_user_of_a_container(tmp_path: Path) -> None:
    make_model([Fake("a", WEIGHTS)], tmp_path, lambda _: None)

    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "weights.params": 0o644,
        "model.json": 0o644,
    }


def test_when_none_answers_every_attempt_is_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        make_model([Fake("one"), Fake("two")], tmp_path / "model", lambda _: None)

    assert "one: one is out of order." in str(caught.value)
    assert "two: two is out of order." in str(caught.value)
    assert "--from" in caught.value.remedy
    assert not (tmp_path / "model").exists()


def test_the_only_attempts_own_remedy_is_kept(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        make_model([Fake("one")], tmp_path, lambda _: None)

    assert caught.value.remedy == "Wait."


def test_a_directory_that_cannot_be_written_is_a_weights_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(WeightsError, match="cannot be written"):
        make_model([Fake("one", WEIGHTS)], tmp_path / "file", lambda _: None)


def test_a_failed_write_leaves_the_model_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_model([Fake("old", WEIGHTS)], tmp_path, lambda _: None)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    other = Weights("resnet18_v1", {name: array + 1 for name, array in WEIGHTS.parameters.items()})
    with pytest.raises(WeightsError, match="No space left on device"):
        make_model([Fake("new", other)], tmp_path, lambda _: None)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
