"""What computes where: the engine that a processor has, in settings, in local runs and in plans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_pipeline.installation import local_settings
from stacks.config import read_config
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.errors import ConfigurationError
from stepvec.estimate.plan import Workload, plan_run
from stepvec.rows.model import ModelIdentity
from stepvec.rows.processors import DEFAULT_ENGINES, ENGINES_OF, PROCESSORS, processor_of

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"


def test_every_processor_has_its_default_engine() -> None:
    assert {processor: DEFAULT_ENGINES[processor] in ENGINES_OF[processor] for processor in PROCESSORS} == {
        "x86_64": True,
        "arm64": True,
    }


@pytest.mark.parametrize(
    ("machine", "processor"),
    [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_systems_have_several_names_for_a_processor(machine: str, processor: str) -> None:
    assert processor_of(machine) == processor


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({}, "mxnet"),
        ({"architecture": "x86_64"}, "mxnet"),
        ({"architecture": "arm64"}, "onnxruntime"),
        ({"architecture": "x86_64", "engine": "onnxruntime"}, "onnxruntime"),
        ({"device": "gpu"}, "mxnet"),
    ],
)
def test_where_no_engine_is_named_it_is_the_processors(settings: dict[str, Any], engine: str) -> None:
    assert read_config(settings).engine == engine


@pytest.fixture
def on_arm(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.delenv("STEPVEC_SETTINGS", raising=False)
    return monkeypatch


def test_a_local_run_on_arm_has_its_engine(on_arm: pytest.MonkeyPatch) -> None:
    assert local_settings() == {"engine": "onnxruntime"}
    assert local_settings({"max_concurrency": 1}) == {"max_concurrency": 1, "engine": "onnxruntime"}
    assert local_settings({"engine": "onnxruntime"}) == {"engine": "onnxruntime"}


@pytest.mark.parametrize("place", ["a flag", "STEPVEC_SETTINGS"])
def test_an_engine_that_is_named_and_does_not_run_on_arm_is_refused(on_arm: pytest.MonkeyPatch, place: str) -> None:
    if place == "STEPVEC_SETTINGS":
        on_arm.setenv("STEPVEC_SETTINGS", json.dumps({"engine": "openvino"}))
    with pytest.raises(ConfigurationError) as refusal:
        local_settings({"engine": "openvino"} if place == "a flag" else None)
    assert refusal.value.message == "This machine: engine openvino does not run on arm64."
    assert refusal.value.remedy == "Use engine onnxruntime there."


def test_a_local_run_on_x86_64_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPVEC_SETTINGS", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert local_settings() == {}
    assert local_settings({"engine": "openvino"}) == {"engine": "openvino"}
    # A deployment on ARM, tried here: with the engine that it will have.
    monkeypatch.setenv("STEPVEC_SETTINGS", json.dumps({"architecture": "arm64"}))
    assert local_settings() == {}


def test_a_plan_on_arm_claims_no_speed_that_x86_64_has() -> None:
    capacity = read_config({"architecture": "arm64", "vcpu_hour_usd": 0.01}).capacity
    model = ModelIdentity.parse(f"{MODEL}/onnxruntime-float32")
    made = plan_run(
        Workload(bytes=10**9, key_bytes={60: 5_000}),
        model,
        "float32",
        capacity,
        prices=load_prices(),
        throughput=load_throughput(),
    )
    assert (capacity.processor, capacity.families) == ("arm64", ("c8g", "m8g", "c7g", "m7g"))
    assert made.images_per_second == "unknown"
    assert "Throughput of this model and engine on arm64 was not measured" in " ".join(made.notes)


def test_a_vcpu_hour_on_arm_has_a_price() -> None:
    families = read_config({"architecture": "arm64"}).hardware.families
    assert load_prices().vcpu_hour_on_demand(families) == pytest.approx(0.35904 / 8)
