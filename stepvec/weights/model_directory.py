"""A model directory on disk: weights.params and the card beside it."""

from __future__ import annotations

from pathlib import Path

from stepvec import codec
from stepvec.errors import RecordError, WeightsError
from stepvec.rows.model import CALIBRATION_FILE, MODEL_FILE, WEIGHTS_FILE, ModelCard

_REMEDY = "Make the model with `stepvec weights` (`make setup` does so)."


def read_model_card(directory: Path) -> ModelCard:
    """The card of the model in `directory`. Raises WeightsError where there is none, or a file that it names is not."""
    try:
        text = (directory / MODEL_FILE).read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"There is no model in {directory}: no {directory / MODEL_FILE}.", remedy=_REMEDY) from error
    if not (directory / WEIGHTS_FILE).is_file():
        raise WeightsError(f"There is a model card but no {directory / WEIGHTS_FILE}.", remedy=_REMEDY)
    try:
        card = codec.from_json(ModelCard, text, where=str(directory / MODEL_FILE))
    except RecordError as error:
        raise WeightsError(error.message, remedy=_REMEDY) from error
    if card.int8 is not None and not (directory / CALIBRATION_FILE).is_file():
        raise WeightsError(
            f"The model is calibrated, but there is no {directory / CALIBRATION_FILE}.",
            remedy="Calibrate it again: `stepvec calibrate PHOTOS`.",
        )
    return card


def model_files(card: ModelCard) -> tuple[str, ...]:
    """Names of the files that the model of `card` consists of."""
    return (MODEL_FILE, WEIGHTS_FILE) if card.int8 is None else (MODEL_FILE, WEIGHTS_FILE, CALIBRATION_FILE)
