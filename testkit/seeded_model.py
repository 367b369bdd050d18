"""A model directory of resnet18_v2 with seeded random weights: trained ones cost the same, and are not everywhere."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from local_pipeline.installation import ROOT, WORKER_PYTHON
from stepvec.rows.model import Architecture, ModelCard
from stepvec.weights.formats import Weights
from stepvec.weights.make import make_model
from stepvec.weights.model_directory import read_model_card
from stepvec.weights.specs import FloatArray, parameter_shapes
from testkit.processes import run_measured

ARCHITECTURE: Final[Architecture] = "resnet18_v2"


class SeededSource:
    """Weights that are the same on every machine, scaled so that 18 layers neither explode nor die."""

    name = "seeded random numbers"
    license = "CC0-1.0"

    def load(self) -> Weights:
        """Parameters of ARCHITECTURE."""
        shapes = parameter_shapes(ARCHITECTURE)
        return Weights(ARCHITECTURE, {name: _seeded(name, shape) for name, shape in shapes.items()})


def _seeded(name: str, shape: tuple[int, ...]) -> FloatArray:
    # RandomState's numbers are frozen by numpy's promise; a Generator's are not.
    numbers = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("weight"):
        values = numbers.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("gamma", "running_var")):
        values = numbers.uniform(0.5, 1.5, shape)
    else:
        values = numbers.standard_normal(shape) * 0.1
    return np.asarray(values, np.float32)


def make_seeded_model(directory: Path, *, calibrated_on: Path | None = None) -> ModelCard:
    """Write the model to `directory`, and give its card; with photos to calibrate on it may compute in int8, too."""
    card = make_model([SeededSource()], directory, lambda _: None)
    if calibrated_on is None:
        return card
    command = [str(WORKER_PYTHON), "-m", "testkit.seeded_calibration", "--model", str(directory)]
    run_measured(
        [[*command, "--photos", str(calibrated_on)]],
        os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}"},
        ROOT,
    )
    return read_model_card(directory)
