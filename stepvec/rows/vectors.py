"""Vectors between numpy and the bytes that a row holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepvec.errors import RecordError
from stepvec.rows.indexed import VectorToIndex, entry_of
from stepvec.rows.item import VectorItem, VectorType, metadata_of, vector_type

# Little-endian whatever the machine: rows are read on other machines than those that write them.
_DTYPES: Final[dict[VectorType, str]] = {"float32": "<f4", "float16": "<f2", "int8": "i1"}

INT8_LARGEST: Final = 127
"""-128 is not used, so that a vector and its negative are stored alike."""
SCALE_DIGITS: Final = 4
"""Significant digits of a scale: DynamoDB stores such a number in 3 bytes. Numbers are rounded *after* the scale
is, so that it costs no accuracy."""


@dataclass(frozen=True, slots=True)
class EncodedVector:
    """What a row holds of a vector: little-endian numbers, and what those of int8 are multiplied by."""

    data: bytes
    scale: float | None


def encode_vector(vector: npt.NDArray[Any], data_type: VectorType) -> EncodedVector:
    """`vector` (one dimension) in `data_type`. Raises RecordError if a number does not fit or is NaN.

    int8 is symmetric, one scale a vector: the largest number becomes 127 or -127, and no number moves by more than half
    a scale. So for D numbers the angle to what was encoded has a sine of at most sqrt(D) / 254, whatever the vector.
    """
    numbers: npt.NDArray[Any] = vector.astype(np.float32)
    scale = None
    if data_type == "int8":
        scale = _scale(float(np.abs(numbers).max(initial=0)))
        # In float64: the scale of a vector of the smallest float32 numbers is 0 in float32.
        numbers = np.rint(numbers / np.float64(scale))
    with np.errstate(over="ignore", invalid="ignore"):
        stored = numbers.astype(_DTYPES[data_type])
    # Both: int8 has no NaN, so one would become a number there.
    if not (np.isfinite(numbers).all() and np.isfinite(stored).all()):
        raise RecordError(
            f"A vector has numbers that {data_type} cannot hold.",
            remedy="Use vector_type float32; if that fails as well, the model's weights are broken.",
        )
    return EncodedVector(stored.tobytes(), scale)


def decode_vector(item: VectorItem) -> npt.NDArray[np.float32]:
    """The row's vector as float32, whatever type is stored."""
    return _decode(item.vector, item.data_type, item.scale)


def vector_to_index(item: VectorItem) -> VectorToIndex:
    """The row's vector as an index of S3 Vectors gets it: the numbers that a reader of the row gets, whatever type."""
    return VectorToIndex(entry_of(metadata_of(item)), decode_vector(item).tolist())


def read_vector(row: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """The vector of a row as boto3's Table gives it, as float32 whatever type is stored.

    For example: `read_vector(boto3.resource("dynamodb").Table("...").get_item(Key={"ImageId": "..."})["Item"])`.
    """
    scale = row.get("Scale")
    return _decode(bytes(row["Vector"]), vector_type(row["DataType"]), None if scale is None else float(scale))


def decode_numbers(data: bytes, data_type: VectorType) -> npt.NDArray[np.float32]:
    """The stored numbers of one vector, or of several one after the other, as float32; int8 before its scale."""
    return np.frombuffer(data, dtype=_DTYPES[data_type]).astype(np.float32)


def _decode(data: bytes, data_type: VectorType, scale: float | None) -> npt.NDArray[np.float32]:
    numbers = decode_numbers(data, data_type)
    return numbers if scale is None else numbers * np.float32(scale)


def _scale(largest: float) -> float:
    """The smallest scale of SCALE_DIGITS digits so that `largest` is no more than INT8_LARGEST. For zeros it is 1."""
    if largest == 0 or not np.isfinite(largest):
        # Not finite: the caller finds the number that is not.
        return 1.0
    exact = Decimal(largest) / INT8_LARGEST
    last_digit = Decimal(1).scaleb(exact.adjusted() - SCALE_DIGITS + 1)
    return float(exact.quantize(last_digit, rounding=ROUND_CEILING))
