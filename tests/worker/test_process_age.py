"""The worker's age includes the start of its interpreter."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import time
time.sleep(0.5)
from stepvec_worker.processes.process_age import seconds_since_start
print(seconds_since_start())
"""


def test_seconds_since_start():
    folder = Path(__file__).resolve().parents[2] / "worker_image"
    start = time.monotonic()
    answer = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, check=True, capture_output=True, text=True)
    seconds = float(answer.stdout)
    # The kernel counts in hundredths of a second.
    assert 0.48 < seconds < time.monotonic() - start + 0.02
