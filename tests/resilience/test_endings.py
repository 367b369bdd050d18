"""Local commands ended at six random moments leave nothing; `make endings` does it at thirty, in every way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from resilience.endings import COMMANDS, WAYS, _left, draw, end_all

SEED = 8
MOMENTS = 6


@pytest.mark.timeout(900)
def test_commands_that_are_ended_at_random_moments_leave_nothing(tmp_path: Path) -> None:
    results = list(end_all(draw(MOMENTS, SEED), tmp_path))
    assert len(results) == MOMENTS
    assert [(result.ending, result.problems) for result in results if result.problems] == []


def test_thirty_endings_are_each_command_in_each_way_twice() -> None:
    drawn = draw(30, SEED)
    assert {(each.command, each.way) for each in drawn} == {(command, way) for command in COMMANDS for way in WAYS}
    assert len({each.share for each in drawn}) == 30
    assert draw(30, SEED) == drawn != draw(30, SEED + 1)
    assert {each.command for each in draw(MOMENTS, SEED)} == set(COMMANDS)


def test_what_is_left_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resilience.endings.GONE_SECONDS", 0.1)
    for name in ("tmp", "state"):
        (tmp_path / name).mkdir()
    assert _left(tmp_path, set()) == (0.0, [])
    (tmp_path / "tmp" / "forgotten").mkdir()
    with subprocess.Popen(["/bin/sleep", "60"], env={"TMPDIR": f"{tmp_path}/tmp"}) as process:
        _, left = _left(tmp_path, set())
        process.kill()
    assert f"process {process.pid}: /bin/sleep 60" in left
    assert "tmp/forgotten" in left
