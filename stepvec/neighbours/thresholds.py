"""From which cosine on two images are taken for one, by model: measured by bench/duplicates.py (docs/duplicates.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stepvec.rows.model import ModelIdentity

MEASURED: Final[Mapping[str, float]] = {"efficientnet_lite0": 0.92}
CAUTIOUS: Final = 0.97
"""For models that were not measured: few changes are found, and hardly a pair wrongly."""


def default_threshold(model: str) -> float:
    """The threshold of `duplicates` for vectors of `model`. Raises RecordError where that is not a model's name."""
    return MEASURED.get(ModelIdentity.parse(model).architecture, CAUTIOUS)
