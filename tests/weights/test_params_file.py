"""MXNet's parameter files. That MXNet itself agrees is checked in tests/worker/test_params_against_mxnet.py."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from stepvec.errors import WeightsError
from stepvec.weights.params_file import read_params, write_params
from tests.golden.seeded import Array

HEADER = struct.pack("<QQQ", 0x112, 0, 1)
NAME = struct.pack("<QQ", 1, 1) + b"a"
CPU_FLOAT32 = struct.pack("<iii", 1, 0, 0)
TWO = np.array([1.5, -2.0], np.float32)
V2_TWO = struct.pack("<Iiiq", 0xF993FAC9, 0, 1, 2) + CPU_FLOAT32 + TWO.tobytes()


def read(data: bytes) -> dict[str, Array]:
    return read_params(data, where="a file")


def test_the_bytes_are_those_of_the_format() -> None:
    assert write_params({"a": TWO}) == HEADER + V2_TWO + NAME


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i4", "i1", "i8", "?"])
def test_every_element_type_comes_back(dtype: str) -> None:
    arrays = {"x.weight": np.arange(12).reshape(2, 3, 2).astype(dtype), "leer": np.zeros((0, 4), dtype)}

    back = read(write_params(arrays))

    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_big_endian_and_strided_arrays_are_written_as_their_values() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T

    np.testing.assert_array_equal(read(write_params({"a": array}))["a"], array)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(V2_TWO, id="V2"),
        pytest.param(struct.pack("<Iiiq", 0xF993FACA, 0, 1, 2) + CPU_FLOAT32 + TWO.tobytes(), id="V3"),
        pytest.param(struct.pack("<IIq", 0xF993FAC8, 1, 2) + CPU_FLOAT32 + TWO.tobytes(), id="V1"),
        pytest.param(struct.pack("<II", 1, 2) + CPU_FLOAT32 + TWO.tobytes(), id="before V1"),
    ],
)
def test_every_version_of_the_format_is_read(array: bytes) -> None:
    np.testing.assert_array_equal(read(HEADER + array + NAME)["a"], TWO)


def test_a_file_cut_off_anywhere_is_refused() -> None:
    whole = write_params({"a": TWO, "bc": np.ones((2, 2), np.float16)})
    for length in range(len(whole)):
        with pytest.raises(WeightsError, match="a file"):
            read(whole[:length])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "breaks off in the header"),
        (b"not at all a parameter file", "is not an MXNet parameter file"),
        (struct.pack("<QQQ", 0x112, 0, 2**60), "more than its size allows"),
        (HEADER + struct.pack("<Ii", 0xF993FAC9, 1), "sparse"),
        (HEADER + struct.pack("<Iii", 0xF993FAC9, 0, 2**30), "dimensions"),
        (HEADER + struct.pack("<Iii", 0xF993FAC9, 0, -1), "dimensions"),
        (HEADER + struct.pack("<Iii", 0xF993FAC9, 0, 0) + CPU_FLOAT32, "0 dimensions"),
        (HEADER + struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 2**62, 2**62) + CPU_FLOAT32, "breaks off in the elements"),
        (HEADER + struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, -1, -2) + CPU_FLOAT32 + TWO.tobytes(), "shape"),
        (HEADER + struct.pack("<Iiiq", 0xF993FAC9, 0, 1, 2) + struct.pack("<iii", 1, 0, 99), "element type 99"),
        (HEADER + V2_TWO + struct.pack("<Q", 0), "1 arrays but 0 names"),
        (HEADER + V2_TWO + struct.pack("<QQ", 1, 2**63), "breaks off in the name"),
        (HEADER + V2_TWO + struct.pack("<QQ", 1, 1) + b"\xff", "not UTF-8"),
        (HEADER + V2_TWO + NAME + b"?", "1 bytes after its end"),
        (
            struct.pack("<QQQ", 0x112, 0, 2)
            + V2_TWO * 2
            + struct.pack("<QQ", 2, 1)
            + b"a"
            + struct.pack("<Q", 1)
            + b"a",
            "two arrays of one name",
        ),
    ],
)
def test_a_hostile_file_is_refused_by_name(data: bytes, problem: str) -> None:
    with pytest.raises(WeightsError, match=f"a file .*{problem}"):
        read(data)


@pytest.mark.parametrize("array", [np.array(["x"]), np.array(1.0, np.float32), np.zeros(2, np.complex64)])
def test_what_the_format_cannot_hold_is_not_written(array: Array) -> None:
    with pytest.raises(WeightsError, match=r"features\.0"):
        write_params({"features.0": array})
