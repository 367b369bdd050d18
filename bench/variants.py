"""The ways in which the worker can run the bench's model: engine, precision and preprocessing are in its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepvec.model import ModelCard

_INT8_HASH_CHARACTERS: Final = 8
_INT8_FILES: Final = "*int8*.bin"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way: what a table calls it, and the model's name that makes the worker run it."""

    label: str
    precision: str
    model: str


def variants(directory: Path, card: ModelCard) -> Iterator[Variant]:
    """Every way that the model in `directory` may have; whether the worker can run one, trying tells."""
    standard = str(card.identity("standard-1"))
    yield Variant("worker, MXNet float32", "f32", standard)
    yield Variant("worker, MXNet float32, sample-1", "sample", str(card.identity("sample-1")))
    yield Variant("worker, OpenVINO float32", "openvino-f32", f"{standard}/openvino-float32")
    yield Variant("worker, OpenVINO bf16", "bf16", f"{standard}/openvino-bf16")
    for file in sorted(directory.glob(_INT8_FILES)):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:_INT8_HASH_CHARACTERS]
        yield Variant("worker, OpenVINO int8", "int8", f"{standard}/openvino-int8-{digest}")
