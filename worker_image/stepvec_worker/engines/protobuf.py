"""Protocol Buffers' wire format, as much of it as ONNX files need. What the fields are is onnx_graph.py's matter.

The package `onnx` would do it too, for 54 MB with what it brings (docs/decisions/0128).
Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from typing import Final

_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_FIXED32: Final = 5
_BITS_64: Final = (1 << 64) - 1

Value = int | float | str | bytes
"""A whole number or an enum; a float (32 bits); a string; bytes, or a message that is encoded already."""


def message(*fields: tuple[int, Value]) -> bytes:
    """The message of these fields, (number, value) each, a repeated one once for each of its values."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as its 64 bits."""
    value &= _BITS_64
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
