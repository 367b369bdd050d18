"""The app in every combination of its settings, synthesized in one process with a model that weighs nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks

from stacks.app import build_app
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK

CHOICES: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"device": "cpu"}, {"device": "gpu"}),
    ({"network": "public"}, {"network": "private"}),
    ({"spot": True}, {"spot": False}),
    ({}, {"schedule": "rate(1 day)", "schedule_paths": ["images"]}),
    ({}, {"upload_trigger": True, "http_start": True}),
)
SECURED: dict[str, Any] = {"kms": True, "xray": True, "vector_index": "s3vectors"}
"""No resource depends on these and on two of the choices: they are on in every other combination."""


@dataclass(frozen=True)
class Synthesized:
    """One app: the settings that differ from cdk.json's, its templates by stack, and cdk-nag's findings."""

    settings: dict[str, Any]
    templates: dict[str, Any]
    findings: list[tuple[str, str]]

    @property
    def data(self) -> Any:
        return self.templates[DATA_STACK]

    @property
    def pipeline(self) -> Any:
        return self.templates[PIPELINE_STACK]


Synthesize = Callable[..., Synthesized]


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Synthesizes the app with settings; each combination once."""
    model = tmp_path_factory.mktemp("model")
    card = {"architecture": "resnet18_v2", "weights_sha256": "0" * 64, "source": "a test", "license": "none"}
    (model / "model.json").write_text(json.dumps(card))
    (model / "weights.params").write_text("no weights")
    known: dict[str, Synthesized] = {}

    def synthesize(**settings: Any) -> Synthesized:
        name = json.dumps(settings, sort_keys=True)
        if name not in known:
            known[name] = _synthesize(tmp_path_factory.mktemp("app"), model, settings)
        return known[name]

    return synthesize


ON_OTHERS: tuple[dict[str, Any], ...] = (
    {"architecture": "arm64"},
    {"architecture": "arm64", "network": "private", "spot": False, **SECURED},
    {"device": "gpu", "engine": "onnxruntime", "precision": "float16"},
)
"""What changes queue, environments and image, and nothing beside them: not combined with all."""


def combinations() -> list[dict[str, Any]]:
    """Every combination of device, network, Spot and starts, every second one with key and tracing; and others."""
    result = [*ON_OTHERS]
    for chosen in itertools.product(*(range(len(choice)) for choice in CHOICES)):
        settings: dict[str, Any] = {}
        for number, choice in zip(chosen, CHOICES, strict=True):
            settings |= choice[number]
        result.append(settings | (SECURED if sum(chosen) % 2 else {}))
    return result


def _synthesize(folder: Path, model: Path, settings: dict[str, Any]) -> Synthesized:
    outdir = folder / "cdk.out"
    app = build_app(folder / "staging", outdir=outdir, model_directory=model, overrides=settings)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        # jsii's own class of the app's ValidationFailed; the findings are in the report.
        if "ValidationFailed" not in str(error):
            raise
    report = json.loads((outdir / "validation-report.json").read_text())
    return Synthesized(
        settings,
        {stack: json.loads((outdir / f"{stack}.template.json").read_text()) for stack in (DATA_STACK, PIPELINE_STACK)},
        [
            (violation["ruleName"], construct["constructPath"])
            for plugin in report["pluginReports"]
            for violation in plugin["violations"]
            for construct in violation["violatingConstructs"]
        ],
    )
