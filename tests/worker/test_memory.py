"""Memory of the supervisor and of an embedding process does not grow with the shard."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stepvec.runs.listing import dump_shard
from tests.worker.folder_table import images

pytestmark = pytest.mark.timeout(240)

SCRIPT = """
import sys
from pathlib import Path
from stepvec_worker.processes.host import peak_memory_mb
from tests.worker.test_supervisor import Run
folder = Path(sys.argv[1])
(folder / "table").mkdir()
run = Run(folder / "table", (folder / "shard").read_bytes(), settings={"batch_size": 32})
assert run.supervisor.tally.embedded == int(sys.argv[2])
own = peak_memory_mb()
print(own, run.supervisor.usage.peak_memory_mb - own)
"""
GROWTH_MB = 8
"""For 200 times as many images. Their lines alone, whose ETags are long here, are 20 MB."""


def peaks(folder: Path, count: int) -> list[int]:
    """MiB of the supervisor and of its embedding process at their largest."""
    folder.mkdir()
    shard = [replace(image, etag=f"{'e' * 1000}{image.key}") for image in images(count)]
    (folder / "shard").write_bytes(dump_shard(shard))
    root = Path(__file__).resolve().parents[2]
    # pytest, which the module above imports, is laid over the worker's environment by this variable.
    laid_over = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'worker_image'}:{laid_over}"}
    command = [sys.executable, "-c", SCRIPT, str(folder), str(count)]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [int(word) for word in answer.stdout.splitlines()[-1].split()]


def test_a_shard_of_20_000_images_takes_as_much_memory_as_one_of_100(tmp_path: Path) -> None:
    small, large = peaks(tmp_path / "small", 100), peaks(tmp_path / "large", 20_000)
    growth = [after - before for before, after in zip(small, large, strict=True)]
    assert max(growth) < GROWTH_MB, f"supervisor, embedding process: {small} and {large} MiB"
