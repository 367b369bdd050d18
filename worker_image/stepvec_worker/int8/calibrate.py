"""`python -m stepvec_worker.int8.calibrate --model DIRECTORY < photos`: a model's int8.json, on standard output.

Standard input has the photos' paths as a JSON array. `stepvec calibrate` starts this in the worker's environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from stepvec import codec
from stepvec.errors import ConfigurationError, StepvecError
from stepvec.rows.model import WEIGHTS_FILE
from stepvec.weights.model_directory import read_model_card, verify_file
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import Pixels, pixel_format, prepare
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.int8.calibration import Calibrator


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate; 0, or 1 with what is wrong and the remedy as JSON on standard output."""
    parser = argparse.ArgumentParser(prog="stepvec_worker.int8.calibrate", description="Find what may compute in int8.")
    parser.add_argument("--model", type=Path, required=True, help="the model directory")
    options = parser.parse_args(arguments)
    try:
        card = read_model_card(options.model)
        if card.encoder is not None:
            raise ConfigurationError(
                f"{card.architecture} is an encoder of your own, which computes in float32 only.",
                remedy="Calibrate one of Stepvec's own networks, which `stepvec weights` gets.",
            )
        weights = options.model / WEIGHTS_FILE
        verify_file(weights, card.weights_sha256)
        photos = _pixels(Path(path) for path in json.load(sys.stdin))
        calibration = Calibrator(
            card, read_parameters(weights, card), pixel_format("standard-1"), photos, _report
        ).calibrate()
    except StepvecError as error:
        json.dump({"message": error.message, "remedy": error.remedy}, sys.stdout)
        return 1
    sys.stdout.write(codec.to_json(calibration) + "\n")
    return 0


def _pixels(paths: Iterable[Path]) -> list[Pixels]:
    # standard-1 for both preprocessings: the ranges are of what the layers see of a photo, not of how it was cut.
    pixels = []
    for path in paths:
        try:
            pixels.append(prepare(path.read_bytes(), DecodeLimits(), "standard-1"))
        except (ImageRejected, OSError) as error:
            _report(f"passed over: {path.name}: {error}")
    _report(f"{len(pixels)} photos read")
    return pixels


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
