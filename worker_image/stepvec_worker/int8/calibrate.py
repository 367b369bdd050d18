"""`python -m stepvec_worker.int8.calibrate --model DIRECTORY < photos`: a model's int8.json, on standard output.

Standard input has the photos' paths as a JSON array. `stepvec calibrate` starts this in the worker's environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from stepvec import codec
from stepvec.errors import StepvecError
from stepvec.rows.model import ModelCard
from stepvec.weights.model_directory import REMAKE_REMEDY, Calibration, read_model_card, verify_file
from stepvec_worker.engines.parameters import read_parameters
from stepvec_worker.guard import limit_process
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import Pixels, Preparation, pixel_format, prepare
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.int8.calibration import Calibrator
from stepvec_worker.int8.networks import BuiltNetwork, OwnNetwork
from stepvec_worker.int8.own import calibrate_own

_CPU_SECONDS: Final = 14_400
"""Of a calibration of an encoder of a user's own: sixteen times what a small transformer takes (docs/encoders.md)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate; 0, or 1 with what is wrong and the remedy as JSON on standard output."""
    parser = argparse.ArgumentParser(prog="stepvec_worker.int8.calibrate", description="Find what may compute in int8.")
    parser.add_argument("--model", type=Path, required=True, help="the model directory")
    options = parser.parse_args(arguments)
    try:
        card = read_model_card(options.model)
        paths = [Path(path) for path in json.load(sys.stdin)]
        calibration = _calibration(card, options.model / card.weights_file, paths)
    except StepvecError as error:
        json.dump({"message": error.message, "remedy": error.remedy}, sys.stdout)
        return 1
    except MemoryError:
        problem = {"message": "The model takes more memory than a file of its size may.", "remedy": REMAKE_REMEDY}
        json.dump(problem, sys.stdout)
        return 1
    sys.stdout.write(codec.to_json(calibration) + "\n")
    return 0


def _calibration(card: ModelCard, weights: Path, paths: Iterable[Path]) -> Calibration:
    if card.encoder is not None:
        limit_process(weights.stat().st_size, _CPU_SECONDS)
        verify_file(weights, card.weights_sha256)
        photos = _pixels(paths, card.encoder.recipe)
        return calibrate_own(OwnNetwork(card, card.encoder, weights.read_bytes()), photos, _report)
    verify_file(weights, card.weights_sha256)
    # standard-1 for both preprocessings: the ranges are of what the layers see of a photo, not of how it was cut.
    photos = _pixels(paths, "standard-1")
    network = BuiltNetwork(card, read_parameters(weights, card), pixel_format("standard-1"))
    return Calibrator(network, photos, _report).calibrate()


def _pixels(paths: Iterable[Path], preparation: Preparation) -> list[Pixels]:
    pixels = []
    for path in paths:
        try:
            pixels.append(prepare(path.read_bytes(), DecodeLimits(), preparation))
        except (ImageRejected, OSError) as error:
            _report(f"passed over: {path.name}: {error}")
    _report(f"{len(pixels)} photos read")
    return pixels


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
