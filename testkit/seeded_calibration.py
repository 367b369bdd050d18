"""int8.json for the bench's seeded model. Run in the worker's environment, by `testkit.seeded_model`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from stepvec_worker.engines.openvino_engine import read_parameters
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import pixel_format, prepare
from stepvec_worker.int8.calibration import Agreement, Calibrator

from stepvec.rows.model import WEIGHTS_FILE
from stepvec.weights.make import add_calibration
from stepvec.weights.model_directory import read_model_card

PHOTOS: Final = 100
LEAST: Final = Agreement(cosine=0.99, same_neighbour=0.0)
"""Which neighbour is the nearest among an untrained network's vectors is chance."""


def main() -> None:
    """Calibrate the model in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    options = parser.parse_args()
    card = read_model_card(options.model)
    photos = [
        prepare(file.read_bytes(), DecodeLimits(), "standard-1") for file in sorted(options.photos.iterdir())[:PHOTOS]
    ]
    parameters = read_parameters(options.model / WEIGHTS_FILE, card)
    calibrator = Calibrator(card, parameters, pixel_format("standard-1"), photos, _report, minimum=LEAST)
    add_calibration(options.model, calibrator.calibrate())


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
