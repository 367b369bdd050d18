"""Every mistake is made, and what is said about it compared, word for word; docs/mistakes.md is the same list."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from stepvec_cli.main import run
from tests.cli.mistakes import MISTAKES
from tests.cli.mistakes.case import Mistake
from tests.cli.mistakes.table import document
from tests.cli.mistakes.world import World
from tests.conftest import ROOT

STEPVEC = ROOT / ".venv" / "bin" / "stepvec"
DOCUMENT = ROOT / "docs" / "mistakes.md"
_ALL = [mistake for mistakes in MISTAKES.values() for mistake in mistakes]


@pytest.fixture(autouse=True)
def _thread_hook() -> Iterator[None]:
    hook = threading.excepthook
    yield
    threading.excepthook = hook


@pytest.mark.parametrize(
    "mistake", _ALL, ids=lambda mistake: f"{mistake.command} ({mistake.did}){' AWS' * mistake.needs_aws}"
)
def test_a_mistake_is_told_with_its_remedy(
    mistake: Mistake, world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with mistake.scene(world) if mistake.scene else nullcontext({}) as more:
        environment: dict[str, str] = {**world.environment(), **more}
        for name, value in mistake.environment.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = world.filled(value)
        how = _as_process if mistake.as_process else _in_process
        code, said = how(world, world.filled(mistake.command), environment, monkeypatch, capfd)
    lines = [line for line in world.told(said).splitlines() if line.strip()]
    assert "Traceback" not in said
    assert "\x1b" not in said, "escape sequences where there is no terminal"
    if mistake.is_finding:
        where = lines.index(f"stop     {mistake.said}")
        assert lines[where + 1] == f"         {mistake.remedy}"
    else:
        assert lines[-2:] == [f"error: {mistake.said}", f"       {mistake.remedy}"], said
    assert code == mistake.code


def _in_process(
    world: World,
    command: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    from stepvec_cli.console import errors

    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(errors, "_width", 100)
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0), capfd.readouterr().err


def _as_process(world: World, command: str, environment: dict[str, str], *_: object) -> tuple[int, str]:
    path = f"{STEPVEC.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [*world.prefix, "/bin/bash", "-o", "pipefail", "-c", command],
        cwd=world.folder,
        env={**environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


def test_there_are_many_and_each_once() -> None:
    assert len(_ALL) >= 60
    assert len({(mistake.command, mistake.did) for mistake in _ALL}) == len(_ALL)


def test_the_document_is_this_table() -> None:
    if os.environ.get("STEPVEC_UPDATE"):
        DOCUMENT.write_text(document(MISTAKES))
    assert DOCUMENT.read_text() == document(MISTAKES), "write it again with STEPVEC_UPDATE=1"


def test_every_said_line_ends_like_one() -> None:
    for mistake in _ALL:
        assert not re.search(r"\.\.$|[^.?)\]`:\w\"'*]$", mistake.said), mistake
