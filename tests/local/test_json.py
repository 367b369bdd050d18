"""With --json standard output is one document of the documented schema, and nothing else."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.local.conftest import Pipeline, photo
from tests.local.test_cli import stepvec as alone
from tests.local.test_client import stepvec

jsonschema: Any = importlib.import_module("jsonschema")  # it has no types


def checked(done: subprocess.CompletedProcess[str], record: str, code: int = 0) -> Any:
    """The document on standard output, held to the schema of docs/schemas."""
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    held(document, record)
    return document


def held(document: Any, record: str) -> None:
    schema = json.loads((ROOT / "docs" / "schemas" / f"{record}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    folder = pipeline.folder()
    for number in range(2):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    pipeline.put(f"{folder}/bad.jpg", b"no photo")
    return folder


@pytest.fixture(scope="module")
def run(pipeline: Pipeline, folder: str) -> str:
    """The name of a run that failed for its one bad image."""
    done = checked(stepvec(pipeline, "run", folder, "--wait", "--json"), "RunAnswer", 1)
    assert (done["status"], done["error"]) == ("FAILED", "Incomplete")
    assert (done["report"]["embedded"], done["report"]["failed"]) == (2, 1)
    return str(done["run"])


def test_a_run_that_is_not_waited_for_is_running(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    done = checked(stepvec(pipeline, "run", folder, "--max-failures", "1", "--json"), "RunAnswer")
    assert (done["status"], done["report"]) == ("RUNNING", None)
    name = done["run"]
    (state,) = checked(stepvec(pipeline, "status", name, "--json"), "StatusAnswer")["runs"]
    assert (state["run"], state["status"]) in [(name, "RUNNING"), (name, "SUCCEEDED")]
    stopped = stepvec(pipeline, "cancel", name, "--json")
    if stopped.returncode == 0:
        assert checked(stopped, "CancelAnswer") == {"run": name, "status": "ABORTED"}
    else:
        assert stopped.stdout == ""  # it was faster


def test_status_and_report(pipeline: Pipeline, run: str) -> None:
    listed = checked(stepvec(pipeline, "status", "--json"), "StatusAnswer")["runs"]
    assert run in [state["run"] for state in listed]
    (state,) = checked(stepvec(pipeline, "status", run, "--json"), "StatusAnswer")["runs"]
    assert (state["status"], state["to_embed"], state["embedded"], state["failed"]) == ("FAILED", 3, 2, 1)
    report = checked(stepvec(pipeline, "report", run, "--json", "--quiet"), "RunReport")
    assert report["failed_by_reason"] == {"NotAnImage": 1}


def test_repair_says_what_it_does(pipeline: Pipeline, run: str) -> None:
    done = checked(stepvec(pipeline, "repair", run, "--max-failures", "1", "--wait", "--json"), "RepairAnswer")
    assert (done["repaired"], done["images"], done["run"]["status"]) == (run, 1, "SUCCEEDED")


def test_plan_audit_and_export(pipeline: Pipeline, folder: str, run: str, tmp_path: Path) -> None:
    assert run
    assert checked(stepvec(pipeline, "plan", folder, "--json"), "PlanAnswer")["images"] == 3
    audited = stepvec(pipeline, "audit", folder, "--sample", "0", "--json")
    assert audited.returncode == 1
    *findings, counts = map(json.loads, audited.stdout.splitlines())
    for finding in findings:
        held(finding, "Finding")
    held(counts, "AuditAnswer")
    assert counts["findings"] == {"ImageWithoutRow": 1}
    exported = stepvec(pipeline, "export", folder, "--out", str(tmp_path / "vectors"), "--json")
    assert checked(exported, "ExportAnswer")["manifest"]["rows"] == 2


def test_doctor_and_deploy_say_what_they_found(pipeline: Pipeline) -> None:
    examined = stepvec(pipeline, "doctor", "--json", CDK_DOCKER="/no/such/docker")
    findings = checked(examined, "DoctorAnswer", 1)
    assert findings["stops"] is True
    assert "container builder" in [finding["subject"] for finding in findings["findings"]]
    refused = checked(stepvec(pipeline, "deploy", "--json", CDK_DOCKER="/no/such/docker"), "DeployAnswer", 1)
    assert (refused["deployed"], refused["account"]) == (False, "")


def test_weights(tmp_path: Path) -> None:
    made = checked(
        alone("weights", "--source", "efficientnet-lite0", "--out", tmp_path, "--json", "--quiet"), "WeightsAnswer"
    )
    assert (made["dimensions"], made["model"]["architecture"]) == (1280, "efficientnet_lite0")


def test_local_run(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(photo(1))
    done = checked(alone("local", "run", tmp_path / "1.jpg", "--out", tmp_path / "out", "--json"), "LocalRunAnswer")
    assert (done["status"], done["report"]["embedded"]) == ("SUCCEEDED", 1)
    assert {Path(file).name for file in done["files"]} >= {"report.json", "vectors.parquet", "gallery.html"}


def test_what_fails_answers_nothing(pipeline: Pipeline) -> None:
    for arguments, code in (
        (("status", "no-such-run"), 1),
        (("report", "no-such-run"), 1),
        (("plan",), 2),
        (("plan", "--images", "many"), 2),
    ):
        done = stepvec(pipeline, *arguments, "--json")
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert done.stderr
