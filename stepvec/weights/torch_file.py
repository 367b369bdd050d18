"""torch's files of tensors, without torch: the zip form (since 1.6) and the legacy form before it.

Both hold pickles, and a pickle can run any program. This reader knows the handful of names that a state dict
needs and refuses every other one, so nothing that a file says is ever called. Format: torch/serialization.py of
torch 2.13 (`_legacy_load`, `_load`) and torch/_utils.py (`_rebuild_tensor_v2`). Little-endian files only.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from stepvec.errors import WeightsError
from stepvec.weights.torch_tensor import (
    Array,
    Element,
    Storage,
    Tensor,
    element_type,
    rebuild_parameter,
    rebuild_tensor,
    tensor_array,
)

LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001
_LEGACY_BEGINNING: Final = pickle.dumps(LEGACY_MAGIC, protocol=2)

_ALLOWED: Final = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
}
"""The only things that a file may call; the last two are stand-ins of ours that just note what they are given."""


def is_legacy_torch_file(data: bytes) -> bool:
    """Whether `data` begins like torch's legacy form."""
    return data.startswith(_LEGACY_BEGINNING)


def is_zip_torch_file(archive: zipfile.ZipFile) -> bool:
    """Whether `archive` is torch's zip form."""
    return any(name.count("/") == 1 and name.endswith("/data.pkl") for name in archive.namelist())


def read_legacy(data: bytes, *, where: str) -> dict[str, Array]:
    """The tensors of a state dict in the legacy form; `where` names it in errors.

    Raises WeightsError for anything that is not such a file, whole and harmless.
    """
    file = io.BytesIO(data)
    if _unpickle(file, where, {}) != LEGACY_MAGIC or _unpickle(file, where, {}) != _LEGACY_PROTOCOL:
        raise _error(where, "is not a legacy torch file")
    system = _unpickle(file, where, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _error(where, "was written by a big-endian machine")
    storages: dict[str, Storage] = {}
    state = _unpickle(file, where, storages)
    keys = _unpickle(file, where, {})
    if not isinstance(keys, list) or set(map(_key, keys)) != set(storages):
        raise _error(where, "does not list its storages")
    contents = {}
    for key in map(_key, keys):
        count = int.from_bytes(file.read(8), "little", signed=True)
        contents[key] = file.read(storages[key].nbytes)
        if count != storages[key].size or len(contents[key]) != storages[key].nbytes:
            raise _error(where, f"breaks off in storage {key}, or gives it another size")
    if file.read(1):
        raise _error(where, "has something after its end")
    return _tensors(state, contents, where)


def read_zip(archive: zipfile.ZipFile, *, where: str) -> dict[str, Array]:
    """The tensors of a state dict in the zip form. Raises WeightsError as `read_legacy` does."""
    pickled = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
    root = pickled.removesuffix("data.pkl")
    storages: dict[str, Storage] = {}
    state = _unpickle(io.BytesIO(_member(archive, pickled, where)), where, storages)
    if f"{root}byteorder" in archive.namelist() and _member(archive, f"{root}byteorder", where) != b"little":
        raise _error(where, "was written by a big-endian machine")
    contents = {key: _member(archive, f"{root}data/{key}", where) for key in storages}
    return _tensors(state, contents, where)


def _member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    try:
        info = archive.getinfo(name)
        # torch never compresses. A member that is stored cannot unpack to more than the file has.
        if info.compress_type != zipfile.ZIP_STORED:
            raise _error(where, f"holds {name} compressed, which torch never does")
        return archive.read(info)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise _error(where, f"does not hold {name} whole ({error})") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, storages: dict[str, Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        element = element_type(module, name)
        if element is None:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, which no weights need")
        return element

    def persistent_load(self, pid: Any, /) -> Storage:
        # ("storage", element type, key, device, number of elements[, view of another storage])
        kind, element, key, _device, count, *view = pid
        if kind != "storage" or not isinstance(element, Element) or type(count) is not int or count < 0 or any(view):
            raise pickle.UnpicklingError("it holds a storage that is not read here")
        storage = Storage(_key(key), element, count)
        if self._storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"it gives storage {storage.key} two sizes")
        return storage


def _key(key: Any) -> str:
    # Never str() of what may be a deeply nested object.
    return key if type(key) is str else "?"


def _unpickle(file: io.BytesIO, where: str, storages: dict[str, Storage]) -> Any:
    try:
        return _Unpickler(file, storages).load()
    except Exception as error:  # noqa: BLE001 - damaged pickles raise every kind there is, all meaning the same
        _refuse_pickle(where, error)


def _refuse_pickle(where: str, error: Exception) -> NoReturn:
    raise _error(where, f"cannot be read as torch weights: {error or type(error).__name__}") from error


def _tensors(state: Any, contents: Mapping[str, bytes], where: str) -> dict[str, Array]:
    if not isinstance(state, Mapping):
        raise _error(where, "holds no state dict")
    arrays = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            entry = repr(name[:80]) if isinstance(name, str) else "something"
            raise _error(where, f"holds {entry} that is not a tensor: it must be a state dict, not a whole model")
        try:
            arrays[name] = tensor_array(tensor, contents)
        except ValueError as error:
            raise _error(where, f"holds {name} damaged: {error}") from error
    return arrays


def _error(where: str, problem: str) -> WeightsError:
    return WeightsError(
        f"{where} {problem}.", remedy="Get the file again, or save the model's state_dict() with torch.save."
    )
