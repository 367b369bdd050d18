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
