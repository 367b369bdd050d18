"""What `make proof-on-gpu` says of a card by nvidia-smi's answers, and that it says at once where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import gpu
from bench.gpu_card import Activity, Card, find_card, watched
from stepvec.errors import DeviceError
from tests.conftest import ROOT

L4 = "NVIDIA L4, 580.178.04, 23034, 8.9"


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A nvidia-smi, alone on PATH but for the shell's own programs, that prints the file `answer` beside it."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path}/answer"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "answer"


def test_a_card_is_known_by_what_nvidia_smi_says(smi: Path) -> None:
    smi.write_text(f"{L4}\nNVIDIA L4, 580.178.04, 23034, 8.9\n")
    assert find_card() == Card("NVIDIA L4", "580.178.04", 23_034, (8, 9))
    assert str(find_card()) == "NVIDIA L4, 23,034 MiB, compute capability 8.9, driver 580.178.04"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "it says nothing"),
        ("Tesla V100-SXM2-16GB, 580.178.04, 16160, 7.0", "too old for CUDA 13: Tesla V100"),
        ("NVIDIA L4, 570.86.15, 23034, 8.9", "too old for CUDA 13: NVIDIA L4"),
        ("NVIDIA L4, 580.178.04, [N/A], 8.9", "not understood"),
    ],
)
def test_a_card_that_cannot_do_it_is_refused_with_a_remedy(smi: Path, answer: str, told: str) -> None:
    smi.write_text(answer)
    with pytest.raises(DeviceError, match=told) as refusal:
        find_card()
    assert "g6.xlarge" in refusal.value.remedy


def test_a_driver_that_does_not_answer_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate' >&2\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="could not communicate"):
        find_card()


def test_a_card_is_watched_until_the_block_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\nfor line in '40, 1000' '[N/A], [N/A]' '60, 3000'; do echo \"$line\"; done\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    start = time.monotonic()
    with watched() as activity:
        while len(activity.memory_mib) < 2:
            time.sleep(0.01)
    assert (activity.mean_busy, activity.peak_memory_mib) == (50, 3_000)
    assert time.monotonic() - start < 30


def test_without_a_card_the_proof_is_one_line_and_exit_code_1() -> None:
    """Before anything is downloaded: make's own target, on a machine without nvidia-smi."""
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has a card")
    for command in ([sys.executable, "-m", "bench.gpu_card"], [sys.executable, "-m", "bench.gpu"]):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: There is no NVIDIA card here")
        assert "g4dn.xlarge, g5.xlarge or g6.xlarge" in line


def test_the_table_has_what_was_measured_and_nothing_else() -> None:
    activity = Activity([90.0, 100.0], [500.0, 900.0])
    run = gpu.Run("resnet18_v2", 0.99999, 4321.4, activity, 3.21)
    assert run.row() == ["resnet18_v2", "0.999990", "4,321", "95 %", "900", "3.2"]
    assert gpu.Run("rehearsed", None, 50.0, Activity()).row() == ["rehearsed", "", "50", "", "", ""]
