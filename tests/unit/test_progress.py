"""What is being done is told at once: in a line that changes on a terminal, in lines elsewhere, not at all if quiet."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from stepvec.client.runs import RunProgress
from stepvec_cli import progress
from stepvec_cli.progress import PLAIN_SECONDS, Bars, Steps
from stepvec_cli.views.run import progress_note
from tests.conftest import ROOT

Errors = Callable[..., io.StringIO]


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Errors:
    def make(*, terminal: bool, quiet: bool = False, **environ: str) -> io.StringIO:
        output = io.StringIO()
        variables = {"TERM": "xterm", "COLUMNS": "80", **environ}
        console = Console(file=output, force_terminal=terminal, quiet=quiet, _environ=variables)
        monkeypatch.setattr(progress, "errors", console)
        return output

    return make


def test_elsewhere_than_on_a_terminal_each_step_is_a_line(errors: Errors) -> None:
    output = errors(terminal=False)
    with Steps("Looking for photos in [a]") as steps:
        assert output.getvalue() == "Looking for photos in [a]\n"
        steps("Starting")
        steps("Starting")
        steps.stop()
        steps("Not told any more")
    assert output.getvalue() == "Looking for photos in [a]\nStarting\n"


def test_steps_that_are_no_news_are_told_on_a_terminal_alone(errors: Errors) -> None:
    output = errors(terminal=False)
    with Steps("Asking", plain=False) as steps:
        steps("Counting")
    assert output.getvalue() == ""
    output = errors(terminal=True)
    with Steps("Asking", plain=False):
        pass
    assert "Asking" in output.getvalue()


def test_on_a_terminal_a_line_changes_and_is_gone_at_the_end(errors: Errors) -> None:
    output = errors(terminal=True)
    with Steps("Looking for photos") as steps:
        assert output.getvalue().startswith("Looking for photos\r")
        steps("Starting")
    told = output.getvalue()
    assert "Starting" in told
    assert told.endswith("\x1b[2K"), "the line is cleared"
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h"), "the cursor is shown again"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_dumb_terminal_gets_lines(errors: Errors, environ: dict[str, str]) -> None:
    output = errors(terminal=True, **environ)
    with Steps("Starting"), Bars() as bars:
        bars("uploading", 1, 1, last=True)
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())
    assert "\r" not in output.getvalue()
    assert "uploading 1 of 1" in output.getvalue()


def test_quiet_says_nothing(errors: Errors) -> None:
    for terminal in (False, True):
        output = errors(terminal=terminal, quiet=True)
        with Steps("Starting") as steps:
            steps("Uploading")
        with Bars() as bars:
            bars("embedding", 1, 2, "a note")
        assert output.getvalue() == ""


def test_bars_are_now_and_then_a_line_where_none_can_change(errors: Errors) -> None:
    output, now = errors(terminal=False), [0.0]
    with Bars(clock=lambda: now[0]) as bars:
        bars("embedding", 0, None, "listing")
        for done in range(1, 5_001):
            now[0] += PLAIN_SECONDS / 2_000
            bars("embedding", done, 5_000, "a note", last=done == 5_000)
    assert output.getvalue().splitlines() == [
        "embedding 0: listing",
        *(f"embedding {done:,} of 5,000: a note" for done in (2_000, 4_000, 5_000)),
    ]


def test_the_note_of_a_run_says_what_it_does_last() -> None:
    assert progress_note(9, RunProgress(8, 4, 0), 2.0) == "listed 9, embedded 4, failed 0, 2.0 images/s, 2 s left"
    assert progress_note(9, RunProgress(8, 7, 1), 2.0) == "listed 9, embedded 7, failed 1, verifying"
    assert progress_note(9, RunProgress(8, 7, 1)) == "listed 9, embedded 7, failed 1"


WATCH = """
import sys
from stepvec_cli.main import run
def heavy(event, arguments):
    if event == "import" and arguments[0] in ("boto3", "numpy", "pyarrow", "moto", "aws_cdk", "PIL"):
        sys.__stderr__.write(f"<import {arguments[0]}>")
        sys.__stderr__.flush()
sys.addaudithook(heavy)
run()
"""


@pytest.mark.parametrize("arguments", [("local", "run", "NOWHERE"), ("status",), ("doctor",)], ids=" ".join)
def test_on_a_terminal_a_command_says_something_before_it_imports_what_takes_long(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {"TERM": "xterm", "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"}
    leader, follower = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", WATCH, *arguments], cwd=ROOT, env=environ, stderr=follower, timeout=120, check=False,
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        told = os.read(leader, 100_000).decode()
    finally:
        os.close(follower)
        os.close(leader)
    before, found, _ = told.partition("<import ")
    assert found, told
    assert re.search(r"(Looking for photos|Finding the deployment|Looking at this machine)", before), told
