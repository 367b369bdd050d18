"""torch's file forms, written by hand: this environment has no torch, and torch would not write the hostile ones."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.golden.seeded import Array

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_CLASSES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<i8": "LongStorage"}


class Stored:
    """Pickled as torch pickles a storage: by a persistent id."""

    def __init__(self, array: Array, key: str, size: int | None = None) -> None:
        self.array, self.key, self.size = array, key, array.size if size is None else size


class View:
    """Pickled as torch pickles a tensor: a call of _rebuild_tensor_v2."""

    def __init__(self, stored: Stored, offset: Any, shape: Any, strides: Any) -> None:
        self.arguments: tuple[Any, ...] = (stored, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def views(state: dict[str, Array]) -> OrderedDict[str, View]:
    """A state dict with a storage for each array."""
    return OrderedDict(
        (name, View(Stored(array.ravel(), str(number)), 0, array.shape, element_strides(array.shape)))
        for number, (name, array) in enumerate(state.items())
    )


def element_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))


@contextmanager
def _fake_torch() -> Any:
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_: Any) -> None:
        raise AssertionError("only its name is pickled")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in _CLASSES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    before = {name: sys.modules.pop(name, None) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def _pickled(value: Any, zipped: bool) -> tuple[bytes, dict[str, Stored]]:
    stored: dict[str, Stored] = {}
    buffer = io.BytesIO()
    with _fake_torch() as torch:

        class Pickler(pickle.Pickler):
            def persistent_id(self, obj: Any) -> Any:
                if not isinstance(obj, Stored):
                    return None
                stored[obj.key] = obj
                kind = getattr(torch, _CLASSES[obj.array.dtype.newbyteorder("<").str])
                pid = ("storage", kind, obj.key, "cpu", obj.size)
                return pid if zipped else (*pid, None)

        Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue(), stored


def legacy_file(state: Any) -> bytes:
    """`state` in the form before torch 1.6."""
    pickled, stored = _pickled(state, zipped=False)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (LEGACY_MAGIC, 1001, system))
    keys = sorted(stored)
    storages = b"".join(struct.pack("<q", stored[key].size) + stored[key].array.tobytes() for key in keys)
    return head + pickled + pickle.dumps(keys, protocol=2) + storages


def zip_file(state: Any, *, compression: int = zipfile.ZIP_STORED, byteorder: bytes = b"little") -> bytes:
    """`state` in the form since torch 1.6."""
    pickled, stored = _pickled(state, zipped=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", byteorder)
        for key, value in stored.items():
            archive.writestr(f"archive/data/{key}", value.array.tobytes())
    return buffer.getvalue()
