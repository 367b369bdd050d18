"""Vectors between numpy and the bytes that a row holds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepvec.item import VectorItem, VectorType

# Little-endian whatever the machine: rows are read on other machines than they are written on.
_DTYPES: Final[dict[VectorType, str]] = {"float32": "<f4", "float16": "<f2"}


def encode_vector(vector: npt.NDArray[Any], data_type: VectorType) -> bytes:
    """`vector` (one dimension) as little-endian bytes of `data_type`."""
    return vector.astype(_DTYPES[data_type]).tobytes()


def decode_vector(item: VectorItem) -> npt.NDArray[np.float32]:
    """The row's vector as float32, whatever type is stored."""
    return np.frombuffer(item.vector, dtype=_DTYPES[item.data_type]).astype(np.float32)
