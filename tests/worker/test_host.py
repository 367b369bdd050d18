"""How many vCPUs the worker takes for its own, and its age, which includes the start of its interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stepvec_worker.processes.host import vcpus

SCRIPT = """
import time
time.sleep(0.5)
from stepvec_worker.processes.host import seconds_since_start
print(seconds_since_start())
"""

AVAILABLE = len(os.sched_getaffinity(0))


def test_the_setting_counts_whatever_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert vcpus(7, tmp_path) == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100000 100000", 1),
        ("150000 100000", min(2, AVAILABLE)),
        ("20000 100000", 1),
        ("max 100000", AVAILABLE),
        ("9900000 100000", AVAILABLE),
    ],
)
def test_a_quota_of_cgroups_version_2(tmp_path: Path, text: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert vcpus(0, tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("100000", 1), ("-1", AVAILABLE)])
def test_a_quota_of_cgroups_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert vcpus(0, tmp_path) == expected


def test_without_a_quota_the_cpus_that_it_may_run_on(tmp_path: Path) -> None:
    assert vcpus(0, tmp_path) == AVAILABLE


ELSEWHERE = """
import os, sys, time
from pathlib import Path
from stepvec_worker.processes import host
host._PROC = Path("/nowhere")
host._WATCH_SECONDS = 0.05
host.ctypes.CDLL = lambda *_, **__: object()
del os.sched_getaffinity
print(host.vcpus(0), host.peak_memory_mb(), host.seconds_since_start(), flush=True)
if os.fork() == 0:
    parent = os.getppid()
    host.die_with(parent)
    print("watching", flush=True)
    time.sleep(60)
    print("outlived", flush=True)
time.sleep(0.2)
"""


def test_where_there_is_no_proc_and_no_prctl() -> None:
    """As on macOS, which was never tried: a process still ends with its parent."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'worker_image'}"}
    start = time.monotonic()
    # Its output ends when the last process that holds it has ended.
    output = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    first, *others = output.splitlines()
    vcpus_, peak, seconds = first.split()
    assert int(vcpus_) >= 1
    assert int(peak) >= 0
    assert 0 <= float(seconds) < 5
    assert others == ["watching"]
    assert time.monotonic() - start < 30


def test_seconds_since_start():
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'worker_image'}"}
    start = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = float(answer.stdout)
    # The kernel counts in hundredths of a second.
    assert 0.48 < seconds < time.monotonic() - start + 0.02
