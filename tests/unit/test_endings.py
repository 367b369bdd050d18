"""How a command ends by a signal: its exit code, what is closed before, and what happens if closing takes long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepvec_cli import endings
from tests.conftest import ROOT

COMMAND = """
import os, subprocess, sys, threading, time
from pathlib import Path
from stepvec_cli import endings
endings._CLOSING_SECONDS = 0.5
def say(word):
    os.write(1, (word + "\\n").encode())
with endings.ended_by_signals():
    try:
        say("begun")
        {work}
    finally:
        {closing}
"""


def started(work: str = "time.sleep(60)", closing: str = "say('closed')", **options: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(work=work, closing=closing)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    return process  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_closes_what_is_open_and_is_the_exit_code(number: int, code: int) -> None:
    process = started()
    process.send_signal(number)
    assert process.communicate(timeout=30) == ("closed\n", "")
    assert process.returncode == code


def test_whatever_becomes_of_the_exception_the_signal_is_the_exit_code() -> None:
    for closing in ("raise OSError('lost on the way')", "sys.exit(0)"):
        process = started(closing=closing)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 143


def test_what_hangs_while_it_is_closed_is_given_up() -> None:
    process = started(closing="time.sleep(60)")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 143


def test_a_second_signal_does_not_wait_and_the_first_one_counts() -> None:
    process = started(closing="say('closing'); time.sleep(60)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_it_does_not_end_before_its_children_have(tmp_path: Path) -> None:
    """As the keepers of its workspaces: they see its end, and are waited for."""
    child = "import os, time; os.read(0, 1); time.sleep(1); open('cleared', 'w').close()"
    work = f'subprocess.Popen([sys.executable, "-c", {child!r}], cwd={str(tmp_path)!r}, stdin=subprocess.PIPE, '
    work += "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); time.sleep(1); say('ready'); time.sleep(60)"
    process = started(work=work, closing="time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert (tmp_path / "cleared").exists()


def test_what_is_ignored_stays_ignored() -> None:
    """By nohup, and in the background of a shell script."""
    process = started(
        work="time.sleep(1); say('done')", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=30) == ("done\nclosed\n", "")
    assert process.returncode == 0


def test_without_a_signal_nothing_changes() -> None:
    before = [signal.getsignal(number) for number in endings.ENDINGS]
    process = started(work="time.sleep(1)")
    assert process.communicate(timeout=30) == ("closed\n", "")
    assert process.returncode == 0
    assert [signal.getsignal(number) for number in endings.ENDINGS] == before


def test_what_fails_while_a_command_is_ended_is_no_defect(tmp_path: Path) -> None:
    """A report of a defect is a file, which would be left."""
    work = "end_of(fail)"
    command = COMMAND.replace(
        "def say", "from stepvec_cli.failures import end_of\ndef fail(**_):\n    {fail}\ndef say", 1
    )
    fail = "try:\n        time.sleep(60)\n    finally:\n        raise RuntimeError('lost on the way')"
    process = subprocess.Popen(
        [sys.executable, "-c", command.format(work=work, closing="say('closed')", fail=fail)],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("closed\n", "")
    assert process.returncode == 143
    assert list(tmp_path.iterdir()) == []
