"""A workspace is gone when its owner is, whatever ended it, and nothing that is another's goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from localaws import keeper
from localaws.workspace import Workspace
from stepvec.errors import ConfigurationError

# Prints the workspace and the process of a child that heeds no signal but SIGKILL; then waits to be killed.
OWNER = """
import subprocess, sys, time
from localaws.workspace import Workspace
workspace = Workspace()
(workspace.folder("home") / "file").touch()
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen(
    [sys.executable, "-c", deaf],
    env={"HOME": str(workspace.path / "home")}, start_new_session=True, stdout=subprocess.PIPE,
)
child.stdout.readline()
print(workspace.path, child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    path, child = process.stdout.readline().split()
    try:
        yield process, Path(path), int(child)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if is_alive(int(child)):
            os.kill(int(child), signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_close_kills_what_is_left_and_leaves_nothing(temporary: Path) -> None:
    with Workspace() as workspace:
        home = workspace.folder("home")
        child = subprocess.Popen(["/bin/sleep", "600"], env={"TMPDIR": str(home), "PATH": os.environ["PATH"]})
        other = subprocess.Popen(
            ["/bin/sleep", "600"], env={"TMPDIR": f"{workspace.path}x", "PATH": os.environ["PATH"]}
        )
        wait_until(lambda: psutil.Process(child.pid).name() == psutil.Process(other.pid).name() == "sleep")
    try:
        assert child.wait(5) == -signal.SIGKILL
        assert other.poll() is None, "it has another folder"
        assert list(temporary.iterdir()) == []
    finally:
        other.kill()
        other.wait()


def test_a_killed_owner_leaves_neither_process_nor_folder(temporary: Path) -> None:
    with owner() as (process, path, child):
        assert path.parent.parent == temporary
        process.kill()
        wait_until(lambda: not is_alive(child) and list(temporary.iterdir()) == [])


def test_what_a_killed_keeper_leaves_is_cleared_by_the_next_and_what_lives_is_not(temporary: Path) -> None:
    with owner() as (process, path, child), owner() as (_, living, living_child):
        (its_keeper,) = [each for each in psutil.Process(process.pid).children() if keeper.__file__ in each.cmdline()]
        its_keeper.kill()
        process.kill()
        process.wait()
        time.sleep(0.2)
        assert path.exists()
        assert is_alive(child)
        with Workspace() as workspace:
            assert workspace.path.parent == path.parent
            assert not path.exists()
            assert not is_alive(child)
            assert living.exists()
            assert is_alive(living_child)


def test_a_folder_of_somebody_elses_is_not_touched(temporary: Path) -> None:
    base = temporary / f"stepvec-{os.getuid()}"
    (base / "run-of-mine").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="was not made by Stepvec"):
        Workspace()
    assert (base / "run-of-mine").is_dir()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    base.rename(temporary / "away")
    base.symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="was not made by Stepvec"):
        Workspace()
    assert list(elsewhere.iterdir()) == []


def test_an_empty_folder_of_a_process_that_was_killed_at_once_is_taken(temporary: Path) -> None:
    (temporary / f"stepvec-{os.getuid()}").mkdir()
    with Workspace() as workspace:
        assert workspace.path.is_dir()
    assert list(temporary.iterdir()) == []


def test_many_at_once(temporary: Path) -> None:
    command = "from localaws.workspace import Workspace\nfor _ in range(3): Workspace().close()"
    together = [subprocess.Popen([sys.executable, "-c", command]) for _ in range(4)]
    assert [process.wait(120) for process in together] == [0] * 4
    assert list(temporary.iterdir()) == []
