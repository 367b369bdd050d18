"""The limits that the worker is held against: bench/decode_and_embed.py, run in the worker's environment."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.checks import FloatArray
from local_pipeline.installation import ROOT, WORKER_PYTHON
from testkit.processes import run_measured


@dataclass(frozen=True, slots=True)
class Limit:
    """CPU milliseconds an image, on one thread with nothing else in the process."""

    decode_ms: float
    model_ms: float

    @property
    def sum_ms(self) -> float:
        """What an image costs at the least."""
        return self.decode_ms + self.model_ms


def measure_limit(photos: Path, images: int, model_directory: Path, model: str, *, processes: int = 1) -> Limit:
    """Decoding and the network of `model` alone; with several `processes` at once, the mean of them."""
    command = _command(photos, images, model_directory, model)
    usage = run_measured([command] * processes, _environment(), ROOT)
    measured = [json.loads(output) for output in usage.outputs]
    return Limit(*(statistics.mean(run[name] for run in measured) for name in ("decode_ms", "model_ms")))


def slow_vectors(photos: Path, images: int, model_directory: Path, model: str) -> dict[str, FloatArray]:
    """Vectors of the first `images` photos by file name, each embedded by itself."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npz"
        command = [*_command(photos, images, model_directory, model), "--vectors", str(vectors)]
        run_measured([command], _environment(), ROOT)
        with np.load(vectors) as arrays:
            return {name: arrays[name] for name in arrays.files}


def median_limit(runs: Sequence[Limit]) -> Limit:
    """The median of each figure by itself."""
    return Limit(statistics.median(run.decode_ms for run in runs), statistics.median(run.model_ms for run in runs))


def _command(photos: Path, images: int, model_directory: Path, model: str) -> list[str]:
    command = [str(WORKER_PYTHON), "-m", "bench.decode_and_embed", "--photos", str(photos), "--images", str(images)]
    return [*command, "--model-directory", str(model_directory), "--model", model]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}"}
