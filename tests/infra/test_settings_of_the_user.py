"""STEPVEC_SETTINGS of a user and the settings of a `stepvec local` command: both count."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from local_pipeline import installation
from local_pipeline.installation import synthesize
from stepvec.errors import ConfigurationError
from tests.conftest import ROOT
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


def test_a_wrong_setting_is_told_once_and_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        synthesize(tmp_path, {"schedule": "every day"})
    assert refusal.value.message == "The `stepvec` settings of cdk.json: 'every day' is not a schedule."
    assert refusal.value.remedy.startswith('Write "rate(1 day)"')


def test_what_only_the_synthesis_finds_is_told_as_it_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    for name in ("cdk_app.py", "cdk.json", "stepvec", "statemachine", "lambdas", "worker_image"):
        (tmp_path / name).symlink_to(ROOT / name)
    app = tmp_path / "cdk_app.py"
    app.unlink()
    shutil.copy(ROOT / "cdk_app.py", app)  # a script's folder is where its link leads
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    with pytest.raises(ConfigurationError) as refusal:
        synthesize(tmp_path / "out")  # there is no model in this checkout, nor what the functions' zip carries
    assert refusal.value.message.startswith("There is no ")
    assert "`make setup`" in refusal.value.remedy
    (tmp_path / "stacks" / "config.py").write_text("1 // 0")
    with pytest.raises(ConfigurationError) as crash:
        synthesize(tmp_path / "out")
    assert (
        crash.value.message
        == "The CDK app cannot be synthesized: ZeroDivisionError: integer division or modulo by zero"
    )
    (file,) = re.findall(r"is in (\S+)\.$", crash.value.remedy)
    assert "Traceback" in Path(file).read_text()
    Path(file).unlink()
