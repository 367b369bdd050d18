"""A local AWS in the background, as its user's commands find it, use it and end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stepvec.client.discovery import is_aws_configured, use_local_aws
from stepvec.client.local_aws import LocalAws, Registration, all_up, find_local, log_of
from stepvec.errors import ConfigurationError, InvalidInputError
from tests.local.conftest import photo, wait_until
from tests.local.test_cli import STEPVEC, WITHOUT_AWS

LOCAL = LocalAws("local", 1, "now", "http://127.0.0.1:1", "key", "secret", "us-east-1", "i", "w", "t", "arn")


class Shell:
    """A shell without any AWS settings but those given, and without a home that has some."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.variables = {**WITHOUT_AWS, "STEPVEC_STATE": str(self.state), "HOME": str(folder)}

    def stepvec(
        self, *arguments: str, code: int = 0, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [STEPVEC, *arguments],
            env=self.variables | (variables or {}),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result

    def up(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.stepvec("local", "status", "--json").stdout)["up"]
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    for each in shell.up():
        shell.stepvec("local", "down", "--name", str(each["name"]))
    assert not shell.state.exists() or list(shell.state.iterdir()) == []


@pytest.mark.timeout(900)
def test_a_local_aws_in_the_background_from_up_to_down(shell: Shell, tmp_path: Path) -> None:
    told = shell.stepvec("status", code=1).stderr
    assert "No AWS region is set" in told
    assert "stepvec local up --detach" in told
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        refused = shell.stepvec("local", "up", "--detach", "--port", port, code=1).stderr
        assert f"Port {port} of 127.0.0.1 cannot be listened on" in refused
    shell.stepvec("local", "up", "--detach", "--port", port)
    (up,) = shell.up()
    assert (up["name"], up["endpoint_url"]) == ("local", f"http://127.0.0.1:{port}")
    assert {oct(path.stat().st_mode & 0o777) for path in shell.state.iterdir()} == {"0o600"}
    # Others' settings do not win over it, in a command or in a shell.
    poison = {
        "AWS_PROFILE": "nope", "AWS_SESSION_TOKEN": "stale", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_CONFIG_FILE": "/no/such/file",
    }  # fmt: skip
    (tmp_path / "a.jpg").write_bytes(photo(1))
    bucket = "$STEPVEC_IMAGE_BUCKET"
    copy = f"aws s3 cp --quiet {tmp_path}/a.jpg s3://{bucket}/images/a.jpg && aws s3 ls s3://{bucket}/images/"
    listed = shell.stepvec("local", "exec", "--", "sh", "-c", copy, variables=poison).stdout
    assert "a.jpg" in listed
    shell.stepvec("local", "exec", "--", "sh", "-c", "exit 7", code=7)
    line = f'eval "$({STEPVEC} local env)" && {STEPVEC.parent}/aws s3 ls s3://{bucket}/images/'
    for program in ("/bin/sh", "/bin/bash"):
        in_shell = subprocess.run(
            [program, "-euc", line],
            env=shell.variables | poison,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "a.jpg" in in_shell.stdout, in_shell.stderr
    # Commands find it by themselves, and say so; not where AWS is configured.
    run = shell.stepvec("run", "images", "--wait")
    assert f"No AWS is configured: this is the local AWS, local, at {up['endpoint_url']}." in run.stderr
    assert "SUCCEEDED" in run.stderr
    assert "No AWS is configured" not in shell.stepvec("status", code=1, variables={"AWS_PROFILE": "nope"}).stderr
    for again in (("--detach",), ()):
        refused = shell.stepvec("local", "up", *again, code=1).stderr
        assert f"A local AWS named 'local' is up already: {up['endpoint_url']}" in " ".join(refused.split())
    process = psutil.Process(int(str(up["pid"])))
    shell.stepvec("local", "down")
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert shell.up() == []
    assert "No local AWS is up" in shell.stepvec("local", "down", code=1).stderr


def test_what_a_killed_one_leaves_is_swept_by_whoever_looks(shell: Shell) -> None:
    shell.stepvec("local", "up", "--detach", "--name", "second")
    (up,) = shell.up()
    os.kill(int(str(up["pid"])), signal.SIGKILL)
    wait_until(lambda: shell.up() == [], seconds=10)
    assert list(shell.state.iterdir()) == []


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"STEPVEC_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}


def test_a_name_is_taken_once(environ: dict[str, str]) -> None:
    with Registration("local", environ) as first:
        first.publish(LOCAL)
        with pytest.raises(ConfigurationError, match="'local' is up already: http://127.0.0.1:1, process 1"):
            Registration("local", environ)
        with Registration("other", environ):
            assert all_up(environ) == [LOCAL], "the other is not up yet"
        assert find_local(None, environ) == find_local("local", environ) == LOCAL
    assert all_up(environ) == []
    for wrong in ("", "../x", "a/b", ".lock", "x" * 41):
        with pytest.raises(InvalidInputError, match="cannot be the name"):
            Registration(wrong, environ)


def test_a_file_without_a_living_owner_is_removed(environ: dict[str, str], tmp_path: Path) -> None:
    with Registration("local", environ) as registration:
        registration.publish(LOCAL)
        text = (tmp_path / "state" / "local.json").read_bytes()
    (tmp_path / "state" / "local.json").write_bytes(text)
    log_of("local", environ).touch()
    assert all_up(environ) == []
    assert list((tmp_path / "state").iterdir()) == []


def test_what_one_leaves_that_was_killed_while_it_started_is_removed(environ: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Registration("starting", environ):
        assert [path.name for path in state.iterdir()] == ["starting.lock"]
        assert all_up(environ) == []
        assert [path.name for path in state.iterdir()] == ["starting.lock"], "its owner lives"
    (state / "a.killed.lock").touch()
    assert all_up(environ) == []
    assert list(state.iterdir()) == []


def test_a_folder_that_others_may_write_to_is_not_believed(environ: dict[str, str], tmp_path: Path) -> None:
    with Registration("local", environ) as registration:
        registration.publish(LOCAL)
        (tmp_path / "state").chmod(0o777)
        assert all_up(environ) == []
        (tmp_path / "state").chmod(0o700)


def test_of_several_one_must_be_named(environ: dict[str, str]) -> None:
    with Registration("a", environ) as first, Registration("b", environ) as second:
        for registration in (first, second):
            registration.publish(LocalAws(registration.name, *(getattr(LOCAL, name) for name in LOCAL.__slots__[1:])))
        with pytest.raises(ConfigurationError, match="Several local AWS are up: a, b"):
            find_local(None, environ)
        assert find_local("b", environ).name == "b"
        with pytest.raises(ConfigurationError, match="No local AWS named 'c'"):
            find_local("c", environ)


@pytest.mark.parametrize(
    "settings",
    [
        {"AWS_PROFILE": "work"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:2"},
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        {"AWS_ACCESS_KEY_ID": "only half"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:2"},
        {"AWS_SHARED_CREDENTIALS_FILE": "credentials"},
    ],
    ids=str,
)
def test_what_is_configured_wins(
    settings: dict[str, str], environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    _set(monkeypatch, environ | settings)
    with Registration("local", environ) as registration:
        registration.publish(LOCAL)
        before = dict(os.environ)
        use_local_aws(os.environ, told.append)
        assert dict(os.environ) == before
    assert told == []


def test_a_local_aws_is_found_without_asking_for_an_instances_credentials(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as metadata:
        metadata.setblocking(False)
        _set(monkeypatch, environ)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{metadata.getsockname()[1]}")
        assert not is_aws_configured(os.environ)
        with Registration("local", environ) as registration:
            registration.publish(LOCAL)
            use_local_aws(os.environ, told.append)
        with pytest.raises(BlockingIOError):
            metadata.accept()
    assert told == ["No AWS is configured: this is the local AWS, local, at http://127.0.0.1:1."]
    assert os.environ["AWS_ENDPOINT_URL"] == LOCAL.endpoint_url
    assert "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in os.environ


def _set(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    """The process's environment for the time of a test, without AWS settings but those in `environ`."""
    for name in list(os.environ):
        # Also what the code under test sets is taken back: monkeypatch remembers a name that it has seen.
        monkeypatch.setenv(name, os.environ[name])
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    empty = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in {**dict.fromkeys(LOCAL.variables({}), ""), **empty, **environ}.items():
        monkeypatch.setenv(name, value)
    for name in LOCAL.variables({}):
        if name not in {**empty, **environ}:
            monkeypatch.delenv(name)
