"""A model directory on disk: weights.params and the card beside it."""

from __future__ import annotations

from pathlib import Path

from stepvec import codec
from stepvec.errors import RecordError, WeightsError
from stepvec.model import MODEL_FILE, WEIGHTS_FILE, ModelCard

_REMEDY = "Make the model with `stepvec weights` (`make setup` does so)."


def read_model_card(directory: Path) -> ModelCard:
    """The card of the model in `directory`. Raises WeightsError where there is none, or no weights beside it."""
    try:
        text = (directory / MODEL_FILE).read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"There is no model in {directory}: no {directory / MODEL_FILE}.", remedy=_REMEDY) from error
    if not (directory / WEIGHTS_FILE).is_file():
        raise WeightsError(f"There is a model card but no {directory / WEIGHTS_FILE}.", remedy=_REMEDY)
    try:
        return codec.from_json(ModelCard, text, where=str(directory / MODEL_FILE))
    except RecordError as error:
        raise WeightsError(error.message, remedy=_REMEDY) from error
