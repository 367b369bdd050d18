"""Protocol Buffers' wire format, as much of it as ONNX files need. What the fields are is their users' matter.

The package `onnx` would do it too, for 54 MB with what it brings (docs/decisions/0128); and it copies what it reads.
Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_FIXED32: Final = 5
_FIXED_LENGTHS: Final = {_FIXED32: 4, 1: 8}
_VARINT_BYTES: Final = 10
"""Of 64 bits, seven a byte."""
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


class MalformedError(ValueError):
    """Bytes that are no message."""


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message, (number, value) each: views of `data`, of which nothing is copied.

    Whole numbers and enums are ints, all else is its bytes. Raises MalformedError where a field goes beyond the end,
    which a made-up length does, or is of no kind that there is.
    """
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        length = _FIXED_LENGTHS.get(kind)
        if kind == _LENGTH_DELIMITED:
            length, at = _read_varint(data, at)
        if length is None or number == 0:
            raise MalformedError(f"no message: a field of kind {kind} at byte {at:,}")
        if length > len(data) - at:
            raise MalformedError(f"a part says that it has {length:,} bytes, and {len(data) - at:,} are left")
        yield number, data[at : at + length]
        at += length


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at byte `at`, and where what follows it begins."""
    value = 0
    for position in range(at, min(at + _VARINT_BYTES, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << 7 * (position - at)
        if byte < 0x80:
            return value & _BITS_64, position + 1
    raise MalformedError(f"no message: a number at byte {at:,} does not end")
