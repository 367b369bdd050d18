"""What a vector was made with: architecture, weights and preprocessing. Vectors of different models are never mixed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from stepvec.errors import ConfigurationError, RecordError

Architecture = Literal["resnet18_v1", "resnet18_v2", "efficientnet_lite0"]
Preprocessing = Literal["standard-1", "sample-1"]

DIMENSIONS: Final[dict[Architecture, int]] = {
    "resnet18_v1": 512,
    "resnet18_v2": 512,
    "efficientnet_lite0": 1280,
}
"""Numbers in a vector of each architecture."""

ARCHITECTURES: Final = tuple(DIMENSIONS)
PREPROCESSINGS: Final[tuple[Preprocessing, ...]] = get_args(Preprocessing)
WEIGHTS_HASH_CHARACTERS: Final = 12
"""Characters of the weights' sha256 that a model's name carries: 48 bits tell any two files of a team apart."""

WEIGHTS_FILE: Final = "weights.params"
MODEL_FILE: Final = "model.json"
"""The two files of a model directory: Gluon parameters, and a ModelCard that says what they are."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The `Model` attribute of a row: `architecture/first 12 of the weights' sha256/preprocessing`."""

    architecture: Architecture
    weights: str
    preprocessing: Preprocessing

    def __str__(self) -> str:
        return f"{self.architecture}/{self.weights}/{self.preprocessing}"

    @property
    def dimension(self) -> int:
        """Numbers in a vector of this model."""
        return DIMENSIONS[self.architecture]

    @classmethod
    def parse(cls, text: str) -> ModelIdentity:
        """The identity that `text` names. Raises RecordError where it names none."""
        parts = text.split("/")
        if len(parts) == 3:
            architecture, weights, preprocessing = parts
            if (
                architecture in ARCHITECTURES
                and preprocessing in PREPROCESSINGS
                and len(weights) == WEIGHTS_HASH_CHARACTERS
            ):
                return cls(architecture, weights, preprocessing)
        raise RecordError(
            f"{text!r} is not the name of a model.",
            remedy="A model is named ARCHITECTURE/WEIGHTS/PREPROCESSING, "
            "for example resnet18_v2/a81db45fd7b7/standard-1.",
        )


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What lies beside a weights file (model.json): which model it is and where it came from."""

    architecture: Architecture
    weights_sha256: str
    source: str
    license: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.weights_sha256):
            raise RecordError(
                f"weights_sha256 is {self.weights_sha256!r}, not 64 hexadecimal digits.",
                remedy="Make the model again with `stepvec weights`.",
            )

    def identity(self, preprocessing: str) -> ModelIdentity:
        """The model of these weights under `preprocessing`. Raises ConfigurationError for one that is unknown."""
        if preprocessing not in PREPROCESSINGS:
            raise ConfigurationError(
                f"Preprocessing {preprocessing!r} is unknown.",
                remedy=f"Use one of {', '.join(PREPROCESSINGS)}.",
            )
        return ModelIdentity(self.architecture, self.weights_sha256[:WEIGHTS_HASH_CHARACTERS], preprocessing)
