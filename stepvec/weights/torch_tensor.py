"""What a torch file says about its tensors, and the numpy arrays made of them.

What an unpickler hands out here are named tuples: a pickle can change neither them nor anything behind them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ELEMENTS: Final = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class Element(NamedTuple):
    """The type of a storage's elements, by numpy's name."""

    name: str


class Storage(NamedTuple):
    """A run of elements that tensors are views of. Its bytes stand elsewhere in the file, under `key`."""

    key: str
    element: Element
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes that the file must have for it."""
        return self.size * np.dtype(self.element.name).itemsize


class Tensor(NamedTuple):
    """A strided view of a storage: offset and strides in elements. Nothing of it is checked yet."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


def element_type(module: str, name: str) -> Element | None:
    """The element type that a storage class of torch stands for; None for any other name."""
    return Element(_ELEMENTS[name]) if module == "torch" and name in _ELEMENTS else None


def rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> Tensor:
    """Stand-in for torch._utils._rebuild_tensor_v2: notes what it is given."""
    return Tensor(storage, offset, shape, strides)


def rebuild_parameter(tensor: Any, *_rest: Any) -> Any:
    """Stand-in for torch._utils._rebuild_parameter."""
    return tensor


def tensor_array(tensor: Tensor, data: Mapping[str, bytes]) -> Array:
    """A copy of the elements of `tensor`; `data` holds each storage's bytes by key.

    Raises ValueError for a view that reaches out of its storage, or that repeats it to something larger.
    """
    storage, offset = tensor.storage, tensor.offset
    if not isinstance(storage, Storage) or len(data[storage.key]) != storage.nbytes:
        raise ValueError("its storage is incomplete")
    shape, strides = _sizes(tensor.shape), _sizes(tensor.strides)
    _sizes((offset,))
    if len(shape) != len(strides) or math.prod(shape) > storage.size:
        raise ValueError(f"shape {shape} and strides {strides} do not fit its storage")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.size:
        raise ValueError("it extends beyond its storage")
    elements = np.frombuffer(data[storage.key], storage.element.name)
    view = np.lib.stride_tricks.as_strided(
        elements[offset:], shape, [stride * elements.itemsize for stride in strides], writeable=False
    )
    return view.copy()


def _sizes(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("its offset, shape or strides are not valid sizes")
    return numbers
