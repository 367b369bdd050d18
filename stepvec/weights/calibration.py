"""What makes a model int8: which convolutions, and the range of what goes into each. A file beside the weights."""

from __future__ import annotations

from dataclasses import dataclass

from stepvec.rows.model import Architecture


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """What 256 levels are spread over: from 0, or around it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """int8.json of a model directory: its weights in int8, as far as their vectors allow it.

    `layers` are the convolutions that compute in int8, by the names of their parameters; all others stay float32.
    `cosine` (mean) and `same_neighbour` (share of photos) compare with float32 on the `photos` of the calibration.
    """

    architecture: Architecture
    weights_sha256: str
    tool: str
    photos: int
    cosine: float
    same_neighbour: float
    layers: dict[str, ActivationRange]
