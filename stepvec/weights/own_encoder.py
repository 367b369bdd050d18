"""What is asked about an ONNX file before it becomes a model, and what is answered, by the process that looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stepvec.rows.encoder import Encoder, Pooling

MAX_ONNX_BYTES: Final = 1 << 30
"""Of a file. A job of one vCPU has 1,800 MiB (3,600 on the m families), and a model takes more than its file."""


@dataclass(frozen=True, slots=True)
class EncoderRequest:
    """file: the ONNX file, `where` what its user calls it. preparation: the file that says how images are made.

    output: "" for the only one.
    """

    name: str
    file: str
    where: str
    preparation: str
    output: str
    pooling: Pooling
    l2: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. addition: bytes, in hexadecimal digits, that the file ends with in the model's directory: they
    declare an output that it does not have by itself. Speed is of one thread of this machine, 16 images at a time.
    """

    encoder: Encoder
    addition: str
    opset: int
    images_per_second: float
