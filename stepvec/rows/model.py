"""What a vector was made with: architecture, weights and preprocessing. Vectors of different models are never mixed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from stepvec.errors import ConfigurationError, RecordError
from stepvec.rows.encoder import CODE_CHARACTERS, Encoder
from stepvec.rows.item import one_of

Architecture = Literal["resnet18_v1", "resnet18_v2", "efficientnet_lite0"]
Preprocessing = Literal["standard-1", "sample-1"]
Engine = Literal["mxnet", "openvino", "onnxruntime"]
Precision = Literal["float32", "float16", "bf16", "int8"]

DIMENSIONS: Final[dict[Architecture, int]] = {
    "resnet18_v1": 512,
    "resnet18_v2": 512,
    "efficientnet_lite0": 1280,
}
"""Numbers in a vector of each of Stepvec's own networks. An encoder of a user's own says so in its model's name."""

ARCHITECTURES: Final[tuple[Architecture, ...]] = get_args(Architecture)
PREPROCESSINGS: Final[tuple[Preprocessing, ...]] = get_args(Preprocessing)
WEIGHTS_HASH_CHARACTERS: Final = 12
"""Characters of the weights' sha256 that a model's name carries: 48 bits tell any two files of a team apart."""

ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)
PRECISIONS_OF: Final[dict[Engine, tuple[Precision, ...]]] = {
    "mxnet": ("float32",),
    "openvino": ("float32", "bf16", "int8"),
    # float16 is for GPUs: on a CPU it would be float32, with weights that are rounded.
    "onnxruntime": ("float32", "float16"),
}
OWN_PRECISIONS: Final[dict[Precision, Engine]] = {"float32": "onnxruntime", "int8": "openvino"}
"""What computes an encoder of a user's own in which precision."""
CALIBRATION_HASH_CHARACTERS: Final = 8
"""Characters of int8.json's sha256 in a model's name: it tells apart calibrations of the same weights."""

WEIGHTS_FILE: Final = "weights.params"
ENCODER_FILE: Final = "model.onnx"
MODEL_FILE: Final = "model.json"
CALIBRATION_FILE: Final = "int8.json"
"""A model directory: Gluon parameters, or an ONNX file; a ModelCard that says what they are; and, once calibrated, a
Calibration."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(
    rf"(?P<architecture>{'|'.join(ARCHITECTURES)})/(?P<weights>[0-9a-f]{{{WEIGHTS_HASH_CHARACTERS}}})"
    rf"/(?P<preprocessing>{'|'.join(PREPROCESSINGS)})"
    rf"(/(?P<engine>openvino|onnxruntime)-(?P<precision>float32|float16|bf16|int8-(?P<calibration>[0-9a-f]{{{CALIBRATION_HASH_CHARACTERS}}})))?"
)

_ENCODER_NAME: Final = r"[a-z0-9][a-z0-9._-]{0,39}"
_OWN_NAME = re.compile(
    rf"(?P<architecture>{_ENCODER_NAME})/(?P<weights>[0-9a-f]{{{WEIGHTS_HASH_CHARACTERS}}})"
    rf"/(?P<preprocessing>own-[0-9]{{1,4}}-[0-9a-f]{{{CODE_CHARACTERS}}})"
    rf"/(?=onnxruntime-float32$|openvino-int8-)(?P<engine>onnxruntime|openvino)"
    rf"-(?P<precision>float32|int8-(?P<calibration>[0-9a-f]{{{CALIBRATION_HASH_CHARACTERS}}}))"
)


def check_encoder_name(name: str) -> str:
    """`name`, if an encoder of a user's own may have it. Raises ConfigurationError."""
    if not re.fullmatch(_ENCODER_NAME, name) or name in ARCHITECTURES:
        raise ConfigurationError(
            f"An encoder cannot be named {name!r}.",
            remedy="Use up to 40 of a to z, 0 to 9, '.', '-' and '_', and no name of Stepvec's own networks.",
        )
    return name


def check_engine(engine: str, precision: str) -> tuple[Engine, Precision]:
    """Both, known to fit together. Raises ConfigurationError where `engine` cannot compute in `precision`."""
    known_engine, known_precision = one_of(ENGINES, engine, "Engine"), one_of(PRECISIONS, precision, "Precision")
    usable = PRECISIONS_OF[known_engine]
    if known_precision not in usable:
        others = [name for name, precisions in PRECISIONS_OF.items() if known_precision in precisions]
        only = " only" if len(usable) == 1 else ""
        raise ConfigurationError(
            f"Engine {engine} computes in {' or '.join(usable)}{only}, not in {precision}.",
            remedy=f"Use engine {' or '.join(others)} for it.",
        )
    return known_engine, known_precision


def check_own_engine(name: str, engine: str, precision: str) -> tuple[Engine, Precision]:
    """What computes the encoder `name` of a user's own: engine mxnet, the default, stands for its engine in float32.

    Raises ConfigurationError for what does not.
    """
    for own_precision, own_engine in OWN_PRECISIONS.items():
        if precision == own_precision and engine in (own_engine, *(ENGINES[:1] if precision == "float32" else ())):
            return own_engine, own_precision
    raise ConfigurationError(
        f"{name} is an encoder of your own: onnxruntime computes it in float32, openvino in int8, and not {engine} in "
        f"{precision}.",
        remedy="Leave out engine and precision, or give openvino and int8 for it, once `stepvec calibrate PHOTOS` has "
        "run. Stepvec's own networks, of `stepvec weights`, have the others.",
    )


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The `Model` attribute of a row: `architecture/first 12 of the weights' sha256/preprocessing`.

    An encoder of a user's own has its name for an architecture, and `own-DIMENSION-HASH` for a preprocessing, the hash
    being that of all its settings.

    Vectors of another engine than MXNet have a fourth part: `onnxruntime-float32`, `onnxruntime-float16`,
    `openvino-float32`, `openvino-bf16`, or `openvino-int8-` and the first 8 of int8.json's sha256 (`calibration`, ""
    for all others).
    """

    architecture: str
    weights: str
    preprocessing: str
    engine: Engine = "mxnet"
    precision: Precision = "float32"
    calibration: str = ""

    def __str__(self) -> str:
        name = f"{self.architecture}/{self.weights}/{self.preprocessing}"
        if self.engine == "mxnet":
            return name
        return f"{name}/{self.engine}-{self.precision}" + (f"-{self.calibration}" if self.calibration else "")

    @property
    def is_own(self) -> bool:
        """Whether it is an encoder of a user's own."""
        return self.preprocessing.startswith("own-")

    @property
    def dimension(self) -> int:
        """Numbers in a vector of this model."""
        if self.is_own:
            return int(self.preprocessing.split("-")[1])
        return DIMENSIONS[one_of(ARCHITECTURES, self.architecture, "Architecture")]

    @classmethod
    def parse(cls, text: str) -> ModelIdentity:
        """The identity that `text` names. Raises RecordError if it names none."""
        found = _NAME.fullmatch(text) or _OWN_NAME.fullmatch(text)
        if found is None:
            raise RecordError(
                f"{text!r} is not the name of a model.",
                remedy="A model is named ARCHITECTURE/WEIGHTS/PREPROCESSING[/ENGINE-PRECISION], "
                "for example resnet18_v2/a81db45fd7b7/standard-1.",
            )
        return cls(
            found["architecture"],
            found["weights"],
            found["preprocessing"],
            *check_engine(found["engine"] or "mxnet", (found["precision"] or "float32").split("-")[0]),
            found.groupdict().get("calibration") or "",
        )


@dataclass(frozen=True, slots=True)
class CalibrationCard:
    """Which int8.json lies beside the weights: its hash, how many photos it was made from, and with what."""

    sha256: str
    photos: int
    tool: str

    def __post_init__(self) -> None:
        _check_hash("int8's sha256", self.sha256, "Make it again with `stepvec calibrate`.")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What lies beside a weights file (model.json): which model it is and where it came from.

    `encoder` is there for one of a user's own, whose name `architecture` is: its weights are an ONNX file.
    """

    architecture: str
    weights_sha256: str
    source: str
    license: str
    int8: CalibrationCard | None = None
    encoder: Encoder | None = field(default=None, metadata={"omit_default": True})

    def __post_init__(self) -> None:
        remedy = "Make the model again with `stepvec weights`."
        _check_hash("weights_sha256", self.weights_sha256, remedy)
        if self.encoder is not None:
            check_encoder_name(self.architecture)
        elif self.architecture not in ARCHITECTURES:
            raise RecordError(f"architecture is {self.architecture!r}, and there is no encoder.", remedy=remedy)

    @property
    def network(self) -> Architecture:
        """Which of Stepvec's own networks it is. Raises ConfigurationError for an encoder of a user's own."""
        return one_of(ARCHITECTURES, self.architecture, "Architecture")

    @property
    def weights_file(self) -> str:
        """Name of the file of weights in the model's directory."""
        return WEIGHTS_FILE if self.encoder is None else ENCODER_FILE

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return DIMENSIONS[self.network] if self.encoder is None else self.encoder.dimension

    def identity(self, preprocessing: str, engine: str = "mxnet", precision: str = "float32") -> ModelIdentity:
        """The model of these weights under `preprocessing`, computed by `engine` in `precision`.

        An encoder of a user's own has its preprocessing, and ONNX Runtime computes it in float32: the defaults,
        standard-1 and mxnet, stand for these; or OpenVINO in int8. Raises ConfigurationError for what is unknown, for
        int8 without a calibration, and for what an encoder cannot do.
        """
        if self.encoder is not None:
            return self._own_identity(self.encoder, preprocessing, engine, precision)
        known_preprocessing = one_of(PREPROCESSINGS, preprocessing, "Preprocessing")
        known_engine, known_precision = check_engine(engine, precision)
        return self._identity(known_preprocessing, known_engine, known_precision)

    def _own_identity(self, encoder: Encoder, preprocessing: str, engine: str, precision: str) -> ModelIdentity:
        own_engine, own_precision = check_own_engine(self.architecture, engine, precision)
        if preprocessing not in (PREPROCESSINGS[0], encoder.preprocessing):
            raise ConfigurationError(
                f"{self.architecture} is an encoder of your own with its own preprocessing, not {preprocessing}.",
                remedy="Leave out the setting preprocessing.",
            )
        return self._identity(encoder.preprocessing, own_engine, own_precision)

    def _identity(self, preprocessing: str, engine: Engine, precision: Precision) -> ModelIdentity:
        calibration = ""
        if precision == "int8":
            if self.int8 is None:
                raise ConfigurationError(
                    "The model has not been calibrated for int8.",
                    remedy="Calibrate it once: `stepvec calibrate PHOTOS` with a few hundred photos like yours.",
                )
            calibration = self.int8.sha256[:CALIBRATION_HASH_CHARACTERS]
        weights = self.weights_sha256[:WEIGHTS_HASH_CHARACTERS]
        return ModelIdentity(self.architecture, weights, preprocessing, engine, precision, calibration)


def _check_hash(what: str, text: str, remedy: str) -> None:
    if not _SHA256.fullmatch(text):
        raise RecordError(f"{what} is {text!r}, not 64 hexadecimal digits.", remedy=remedy)
