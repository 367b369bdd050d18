"""MXNet's .params files (a list of named arrays) from and to bytes, with numpy only.

Format: NDArray::Save and NDArray::Load in src/ndarray/ndarray.cc of MXNet 1.9.1. Everything is little-endian:

    u64 0x112, u64 0, u64 count, count arrays, u64 count, count x (u64 length, UTF-8 name)

and an array is `u32 magic, i32 storage type, shape, i32 device type, i32 device id, i32 element type, elements`.
Files are not trusted: each number is checked against the bytes that are left before anything is allocated.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.errors import WeightsError

Array = NDArray[Any]

_FILE_MAGIC: Final = 0x112
_V1: Final = 0xF993FAC8
_V2: Final = 0xF993FAC9
_V3: Final = 0xF993FACA
"""V3 is V2 with numpy's shapes: the same bytes for the arrays that are read here."""
_DENSE: Final = 0
_CPU: Final = 1
_MAX_DIMENSIONS: Final = 32

_ELEMENTS: Final = {0: "<f4", 1: "<f8", 2: "<f2", 3: "|u1", 4: "<i4", 5: "|i1", 6: "<i8", 7: "|b1"}
"""mshadow's element types (3rdparty/mshadow/mshadow/base.h)."""
_ELEMENT_IDS: Final = {np.dtype(name): number for number, name in _ELEMENTS.items()}


def read_params(data: bytes, *, where: str) -> dict[str, Array]:
    """The arrays of a .params file by name, in its order: read-only views into `data`.

    `where` names the file in errors. Raises WeightsError for bytes that are not such a file, are cut off, have
    something after the end, or hold sparse arrays, unnamed arrays or element types that are not plain numbers.
    """
    reader = _Reader(data, where)
    magic, _ = reader.numbers("QQ", "header")
    if magic != _FILE_MAGIC:
        raise reader.error("is not an MXNet parameter file")
    (count,) = reader.numbers("Q", "number of arrays")
    # An array takes at least its magic, a shape and a type.
    if count > reader.left // 8:
        raise reader.error(f"says that it holds {count} arrays, more than its size allows")
    arrays = [_read_array(reader) for _ in range(count)]
    (names,) = reader.numbers("Q", "number of names")
    if names != count:
        raise reader.error(f"holds {count} arrays but {names} names")
    named = {_read_name(reader): array for array in arrays}
    if len(named) != count:
        raise reader.error("holds two arrays of one name")
    if reader.left:
        raise reader.error(f"has {reader.left} bytes after its end")
    return named


def write_params(arrays: Mapping[str, Array]) -> bytes:
    """A .params file of `arrays`, byte for byte what MXNet's own nd.save writes for them.

    Raises WeightsError for an element type that the format does not have, and for arrays without a dimension.
    """
    parts = [struct.pack("<QQQ", _FILE_MAGIC, 0, len(arrays))]
    for name, array in arrays.items():
        element = _ELEMENT_IDS.get(array.dtype.newbyteorder("<") if array.dtype.itemsize > 1 else array.dtype)
        if element is None or array.ndim == 0:
            raise WeightsError(
                f"Parameter {name} ({array.dtype}, shape {array.shape}) cannot be stored in a .params file.",
                remedy="Make it an array of a plain number type, of one dimension or more.",
            )
        shape = struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape)
        parts.append(struct.pack("<Ii", _V2, _DENSE) + shape + struct.pack("<iii", _CPU, 0, element))
        parts.append(array.astype(_ELEMENTS[element], copy=False).tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    return b"".join(parts)


class _Reader:
    """A position in the bytes of a file, which nothing moves past the end."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def error(self, problem: str) -> WeightsError:
        return WeightsError(
            f"{self._where} {problem}.", remedy="Get the file again; it must be a dense, named MXNet .params file."
        )

    def take(self, size: int, what: str) -> int:
        """Moves past `size` bytes and gives where they begin."""
        if size > self.left:
            raise self.error(f"breaks off in the {what} (at byte {self._position} of {len(self._data)})")
        begin = self._position
        self._position += size
        return begin

    def numbers(self, format_: str, what: str) -> tuple[int, ...]:
        begin = self.take(struct.calcsize(f"<{format_}"), what)
        return struct.unpack_from(f"<{format_}", self._data, begin)

    def text(self, size: int, what: str) -> str:
        begin = self.take(size, what)
        try:
            return self._data[begin : begin + size].decode()
        except UnicodeDecodeError as error:
            raise self.error(f"holds a {what} that is not UTF-8") from error

    def array(self, element: np.dtype[Any], shape: tuple[int, ...], what: str) -> Array:
        # math.prod has no overflow, unlike numpy's.
        count = math.prod(shape)
        begin = self.take(count * element.itemsize, what)
        return np.frombuffer(self._data, element, count, begin).reshape(shape)


def _read_array(reader: _Reader) -> Array:
    (magic,) = reader.numbers("I", "array header")
    if magic in (_V2, _V3):
        (storage,) = reader.numbers("i", "storage type")
        if storage != _DENSE:
            raise reader.error("holds a sparse array, which is not read here")
        (dimensions,) = reader.numbers("i", "shape")
        letter = "q"
    elif magic == _V1:
        (dimensions,) = reader.numbers("I", "shape")
        letter = "q"
    else:
        # Before V1 the magic's place held the number of dimensions, and a dimension was 32 bits.
        dimensions, letter = magic, "I"
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise reader.error(f"holds an array of {dimensions} dimensions")
    shape = reader.numbers(f"{dimensions}{letter}", "shape")
    if min(shape) < 0:
        raise reader.error(f"holds an array of the shape {shape}")
    _device, _device_id, element = reader.numbers("iii", "element type")
    if element not in _ELEMENTS:
        raise reader.error(f"holds an array of the unknown element type {element}")
    return reader.array(np.dtype(_ELEMENTS[element]), shape, "elements of an array")


def _read_name(reader: _Reader) -> str:
    (length,) = reader.numbers("Q", "name")
    return reader.text(length, "name")
