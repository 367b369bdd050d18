"""Batch jobs as containers of an engine, here one that writes down what it is asked. `make image` has a real one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from localaws.batch.container_engine import HARDENED, ContainerEngine


@pytest.fixture
def program(tmp_path):
    """The fake engine under this very Python, which need not be on the PATH."""
    script = tmp_path / "engine"
    fake = Path(__file__).with_name("fake_engine.py")
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def calls(tmp_path, monkeypatch):
    log = tmp_path / "calls"
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(log))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def engine(sample, monkeypatch, calls, program, tmp_path):
    engine = ContainerEngine(program, "image:tag")
    monkeypatch.setattr(sample.cloud._batch, "container_engine", engine)
    monkeypatch.setattr(
        sample.cloud._context, "extra_environment", {"FROM_START": "yes", "FAKE_ENGINE_LOG": str(tmp_path / "calls")}
    )
    return engine


def test_job_runs_as_a_container_with_the_jobs_variables_alone(sample, engine, calls):
    job = sample.finished(sample.submit("environment"))
    assert job["status"] == "SUCCEEDED"
    seen = json.loads(sample.job_log(job)[0])
    assert seen["FROM_TEMPLATE"] == sample.data["TableName"]
    assert seen["FROM_START"] == "yes"
    assert seen["AWS_ENDPOINT_URL"] == sample.cloud.endpoint_url
    assert seen["AWS_BATCH_JOB_ATTEMPT"] == "1"
    # The Dockerfile's ENV is in the image, and the machine's folders mean nothing there.
    assert not {"FROM_IMAGE", "HOME", "TMPDIR", "PATH"} & set(seen)
    (call,) = calls()
    assert call[:2] == ["run", "--rm"]
    assert " ".join(HARDENED) in " ".join(call)
    # Other users of the machine see a process's arguments.
    assert not [word for word in call if seen["AWS_SECRET_ACCESS_KEY"] in word or seen["AWS_SESSION_TOKEN"] in word]


def test_exit_code_and_attempts_are_the_containers(sample, engine):
    job = sample.finished(sample.submit("exit-by-attempt", "1", "0", retryStrategy={"attempts": 2}))
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 0]


def test_what_is_left_is_removed_by_its_mark(calls, program):
    engine = ContainerEngine(program, "image:tag")
    engine.remove_all()
    listing, removal = calls()
    assert listing[:3] == ["ps", "--all", "--quiet"]
    mark = listing[-1].removeprefix("label=")
    assert mark in engine.command([], [])
    assert mark not in ContainerEngine(program, "image:tag").command([], [])
    assert removal == ["rm", "--force", "left-over"]
