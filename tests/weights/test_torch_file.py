from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepvec.errors import WeightsError
from stepvec.weights.formats import read_weights
from stepvec.weights.torch_file import is_legacy_torch_file, is_zip_torch_file, read_legacy, read_zip
from tests.golden.seeded import Array
from tests.weights.torch_pickles import Stored, View, legacy_file, views, zip_file

GOLDEN = Path(__file__).parent.parent / "golden"
SIX = np.arange(6, dtype=np.float32)


def read_legacy_bytes(data: bytes) -> dict[str, Array]:
    return read_legacy(data, where="a file")


def read_zip_bytes(data: bytes) -> dict[str, Array]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return read_zip(archive, where="a file")


Form = tuple[Callable[[Any], bytes], Callable[[bytes], dict[str, Array]]]
FORMS = pytest.mark.parametrize(
    "form",
    [pytest.param((legacy_file, read_legacy_bytes), id="legacy"), pytest.param((zip_file, read_zip_bytes), id="zip")],
)


@pytest.mark.parametrize("name", ["torch_legacy.pth", "torch_zip.pth"])
def test_files_that_torch_itself_wrote(name: str) -> None:
    data = (GOLDEN / name).read_bytes()

    state = read_legacy_bytes(data) if name == "torch_legacy.pth" else read_zip_bytes(data)

    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected: dict[str, Array] = {
        "contiguous": whole,
        "transposed": whole.T,
        "part": whole[1:3, 2:5],
        "parameter": np.array([1.5, -2.5], np.float32),
        "counter": np.array(7, np.int64),
        "half": np.array([0.5, 2.0], np.float16),
    }
    assert list(state) == list(expected)
    for key, array in expected.items():
        assert state[key].dtype == array.dtype, key
        np.testing.assert_array_equal(state[key], array, err_msg=key)


def test_the_two_forms_are_told_apart() -> None:
    assert is_legacy_torch_file((GOLDEN / "torch_legacy.pth").read_bytes())
    assert not is_legacy_torch_file((GOLDEN / "torch_zip.pth").read_bytes())
    with zipfile.ZipFile(GOLDEN / "torch_zip.pth") as archive:
        assert is_zip_torch_file(archive)


@FORMS
def test_a_state_dict_comes_back(form: Form) -> None:
    write, read = form
    state: dict[str, Array] = {"weight": SIX.reshape(2, 3), "num_batches_tracked": np.array(3, np.int64)}

    back = read(write(views(state)))

    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array)


class Command:
    """What an attacker puts into a pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@FORMS
def test_a_file_that_would_run_a_command_is_refused_unrun(form: Form, tmp_path: Path) -> None:
    write, read = form
    data = write(OrderedDict(weight=Command(tmp_path / "ran")))

    with pytest.raises(WeightsError, match=r"wants to use posix\.system"):
        read(data)

    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Command(tmp_path / "ran")))  # noqa: S301 - shows that the file would have done it
    assert (tmp_path / "ran").exists()


class Builtin:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@FORMS
@pytest.mark.parametrize("function", [eval, getattr, __import__, io.open, np.frombuffer])
def test_nothing_but_the_needed_names_is_called(form: Form, function: Any) -> None:
    write, read = form
    with pytest.raises(WeightsError, match="wants to use"):
        read(write(OrderedDict(weight=Builtin(function, "1"))))


@FORMS
@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (View(Stored(SIX, "0"), 0, (7,), (1,)), "do not fit"),
        (View(Stored(SIX, "0"), 1, (6,), (1,)), "beyond its storage"),
        (View(Stored(SIX, "0"), 0, (2, 3), (6, 1)), "beyond its storage"),
        (View(Stored(SIX, "0"), -1, (2,), (1,)), "not valid sizes"),
        (View(Stored(SIX, "0"), 0, (2,), (-1,)), "not valid sizes"),
        (View(Stored(SIX, "0"), 0, (1 << 40,), (0,)), "do not fit"),
        (View(Stored(SIX, "0"), 0, "ab", (1,)), "not valid sizes"),
        (View(Stored(SIX, "0"), 0, (2, 3), (1,)), "do not fit"),
        (View("no storage", 0, (2,), (1,)), "incomplete"),  # type: ignore[arg-type]
    ],
)
def test_a_view_that_reaches_out_of_its_storage_is_refused(form: Form, view: View, problem: str) -> None:
    write, read = form
    with pytest.raises(WeightsError, match=problem):
        read(write(OrderedDict(weight=view)))


@FORMS
@pytest.mark.parametrize("size", [-1, 5, 7, 1 << 50])
def test_a_storage_of_another_size_than_it_says_is_refused(form: Form, size: int) -> None:
    write, read = form
    with pytest.raises(WeightsError, match="a file"):
        read(write(OrderedDict(weight=View(Stored(SIX, "0", size), 0, (2,), (1,)))))


@FORMS
@pytest.mark.parametrize(
    "value", [[1, 2], "text", OrderedDict(epoch=3), OrderedDict({5: View(Stored(SIX, "0"), 0, (6,), (1,))})]
)
def test_what_is_no_state_dict_is_refused(form: Form, value: Any) -> None:
    write, read = form
    with pytest.raises(WeightsError, match="state dict"):
        read(write(value))


@FORMS
def test_a_damaged_file_ends_in_a_weights_error_or_in_arrays(form: Form) -> None:
    write, _ = form
    whole = write(views({"weight": SIX}))
    broken = [whole[:length] for length in range(len(whole))]
    broken += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(len(whole))]

    # SIX is no weights of any architecture, so even an undamaged file ends in a WeightsError here.
    for data in broken:
        with pytest.raises(WeightsError):
            read_weights(data, where="a file")


def test_a_compressed_member_is_refused_because_it_could_unpack_to_anything() -> None:
    with pytest.raises(WeightsError, match="compressed"):
        read_zip_bytes(zip_file(views({"weight": np.zeros(1_000_000, np.float32)}), compression=zipfile.ZIP_DEFLATED))


def test_a_big_endian_file_is_refused() -> None:
    with pytest.raises(WeightsError, match="big-endian"):
        read_zip_bytes(zip_file(views({"weight": SIX}), byteorder=b"big"))
