"""STEPVEC_SETTINGS of a user and the settings of a `stepvec local` command: both count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_pipeline.installation import synthesize
from tests.infra.test_templates import PIPELINE, of_type


def test_settings_of_a_command_replace_those_of_the_user_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = {"log_retention_days": 7, "engine": "mxnet", "alarm_email": "someone@example.org"}
    monkeypatch.setenv("STEPVEC_SETTINGS", json.dumps(users))
    synthesize(tmp_path, {"engine": "openvino", "log_retention_days": 14})
    template = json.loads((tmp_path / f"{PIPELINE}.template.json").read_text())
    assert {group["RetentionInDays"] for group in of_type(template, "AWS::Logs::LogGroup").values()} == {14}
    assert "openvino" in template["Outputs"]["Model"]["Value"]
    # What the command does not say stays the user's.
    assert [entry["Endpoint"] for entry in of_type(template, "AWS::SNS::Subscription").values()] == [
        "someone@example.org"
    ]
