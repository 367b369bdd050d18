"""A model directory of seeded random weights: trained ones cost the same, and are not everywhere.

`python -m testkit.seeded_model --model DIRECTORY --photos FOLDER`, in the worker's environment, adds its int8.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from local_pipeline.installation import ROOT, WORKER_PYTHON
from stepvec.rows.model import WEIGHTS_FILE, Architecture, ModelCard
from stepvec.weights.formats import Weights
from stepvec.weights.make import add_calibration, make_model
from stepvec.weights.model_directory import read_model_card
from stepvec.weights.specs import FloatArray, parameter_shapes
from testkit.processes import run_measured

ARCHITECTURE: Final[Architecture] = "resnet18_v2"
_CALIBRATION_PHOTOS: Final = 100


class SeededSource:
    """Weights that are the same on every machine."""

    name = "seeded random numbers"
    license = "CC0-1.0"

    def load(self) -> Weights:
        """Parameters of ARCHITECTURE."""
        return Weights(ARCHITECTURE, seeded_parameters(ARCHITECTURE))


def seeded_parameters(architecture: Architecture) -> dict[str, FloatArray]:
    """Its parameters by name, scaled so that its layers neither explode nor die."""
    return {name: _seeded(name, shape) for name, shape in parameter_shapes(architecture).items()}


def _seeded(name: str, shape: tuple[int, ...]) -> FloatArray:
    # RandomState's numbers are frozen by numpy's promise; a Generator's are not.
    numbers = np.random.RandomState(zlib.crc32(name.encode()))
    if len(shape) == 4:
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
    command = [str(WORKER_PYTHON), "-m", "testkit.seeded_model", "--model", str(directory)]
    run_measured(
        [[*command, "--photos", str(calibrated_on)]],
        os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}"},
        ROOT,
    )
    return read_model_card(directory)


def calibrate_seeded(model: Path, photos: Path) -> None:
    """Add int8.json to the model directory, made of up to 100 of the `photos`. In the worker's environment only."""
    from stepvec_worker.engines.parameters import read_parameters
    from stepvec_worker.images.decoding import DecodeLimits
    from stepvec_worker.images.preprocessing import pixel_format, prepare
    from stepvec_worker.int8.calibration import Agreement, Calibrator
    from stepvec_worker.int8.networks import BuiltNetwork

    card = read_model_card(model)
    files = sorted(photos.iterdir())[:_CALIBRATION_PHOTOS]
    pixels = [prepare(file.read_bytes(), DecodeLimits(), "standard-1") for file in files]
    parameters = read_parameters(model / WEIGHTS_FILE, card)
    # Which neighbour is the nearest among an untrained network's vectors is chance.
    minimum = Agreement(cosine=0.99, same_neighbour=0.0)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    calibrator = Calibrator(BuiltNetwork(card, parameters, pixel_format("standard-1")), pixels, report, minimum=minimum)
    add_calibration(model, calibrator.calibrate())


def main() -> None:
    """Calibrate a model in place."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    options = parser.parse_args()
    calibrate_seeded(options.model, options.photos)


if __name__ == "__main__":
    main()
