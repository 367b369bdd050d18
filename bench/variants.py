"""The ways in which the worker can run the bench's model: engine, precision and preprocessing are in its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stepvec.rows.model import Engine, ModelCard, Precision

_OPENVINO: Final[tuple[tuple[str, str, Precision], ...]] = (
    ("worker, OpenVINO float32", "openvino-f32", "float32"),
    ("worker, OpenVINO bf16", "bf16", "bf16"),
    ("worker, OpenVINO int8", "int8", "int8"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way: what a table calls it, and the model's name that makes the worker run it."""

    label: str
    precision: str
    model: str


def variants(card: ModelCard) -> Iterator[Variant]:
    """Every way that the model of `card` may have; whether the worker can run one here, trying tells."""
    yield Variant("worker, MXNet float32", "f32", str(card.identity("standard-1")))
    yield Variant("worker, MXNet float32, sample-1", "sample", str(card.identity("sample-1")))
    engine: Engine = "openvino"
    for label, short, precision in _OPENVINO:
        if precision != "int8" or card.int8 is not None:
            yield Variant(label, short, str(card.identity("standard-1", engine, precision)))
