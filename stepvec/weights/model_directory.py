"""A model directory on disk: weights.params, the card beside it, and int8.json where the model is calibrated."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepvec import codec
from stepvec.errors import ConfigurationError, RecordError, WeightsError
from stepvec.rows.model import CALIBRATION_FILE, MODEL_FILE, ModelCard

REMAKE_REMEDY: Final = "Make the model again with `stepvec weights`, and give its directory."
_REMEDY: Final = "Make the model with `stepvec weights` (`make setup` does so)."


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """What 256 levels are spread over: from 0, or around it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """int8.json of a model directory: its weights in int8, as far as their vectors allow it.

    `layers` are those that compute in int8, by the names of their parameters, or of an encoder of a user's own by those
    of the ONNX file: convolutions, and there linear layers, too. All others stay float32.
    `cosine` (mean) and `same_neighbour` (share of photos) compare with float32 on the `photos` of the calibration.
    """

    architecture: str
    weights_sha256: str
    tool: str
    photos: int
    cosine: float
    same_neighbour: float
    layers: dict[str, ActivationRange]


def read_model_card(directory: Path) -> ModelCard:
    """The card of the model in `directory`. Raises WeightsError where there is none, or a file that it names is not."""
    try:
        text = (directory / MODEL_FILE).read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"There is no model in {directory}: no {directory / MODEL_FILE}.", remedy=_REMEDY) from error
    try:
        card = codec.from_json(ModelCard, text, where=str(directory / MODEL_FILE))
    except (RecordError, ConfigurationError) as error:
        raise WeightsError(error.message, remedy=_REMEDY) from error
    if not (directory / card.weights_file).is_file():
        raise WeightsError(f"There is a model card but no {directory / card.weights_file}.", remedy=_REMEDY)
    if card.int8 is not None and not (directory / CALIBRATION_FILE).is_file():
        raise WeightsError(
            f"The model is calibrated, but there is no {directory / CALIBRATION_FILE}.",
            remedy="Calibrate it again: `stepvec calibrate PHOTOS`.",
        )
    return card


def model_files(card: ModelCard) -> tuple[str, ...]:
    """Names of the files that the model of `card` consists of."""
    return (MODEL_FILE, card.weights_file, *([] if card.int8 is None else [CALIBRATION_FILE]))


def verify_file(path: Path, sha256: str) -> None:
    """Raises WeightsError where the file is missing or is not, byte for byte, the one that the card describes."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.", remedy=REMAKE_REMEDY) from error
    if found != sha256:
        raise WeightsError(f"{path} has the sha256 {found}, its card says {sha256}.", remedy=REMAKE_REMEDY)
