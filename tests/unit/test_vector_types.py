"""The types that vectors are stored in: what they cost, and how near the vector stays."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stepvec import limits
from stepvec.errors import RecordError
from stepvec.rows.item import VECTOR_TYPES, VectorItem, VectorType, decode_item, encode_item, item_bytes, write_units
from stepvec.rows.model import DIMENSIONS
from stepvec.rows.vectors import INT8_LARGEST, decode_vector, encode_vector, read_vector

LONGEST_RUN = "r" * limits.EXECUTION_NAME_CHARACTERS
LONGEST_MODEL = "resnet18_v2/a81db45fd7b7/standard-1/openvino-int8-0123abcd"
LONGEST_ETAG = "d41d8cd98f00b204e9800998ecf8427e-10000"
"""Of an object uploaded in S3's most parts."""
MODIFIED = {"Modified": {"N": "1764158401"}}
"""Seconds since 1970, which the worker's rows have beside what VectorItem has."""
LARGEST = 2.0**100
FLOATS = st.floats(-LARGEST, LARGEST, width=32)


def vector_item(vector: Any, data_type: VectorType, *, key: str = "k", **fields: str) -> VectorItem:
    encoded = encode_vector(vector, data_type)
    return VectorItem(
        image_id=key,
        vector=encoded.data,
        data_type=data_type,
        dimension=len(vector),
        created=datetime(2026, 11, 22, 12, 30, 1, 250_000, tzinfo=UTC),
        key=key,
        etag=fields.get("etag", "e"),
        model=fields.get("model", "m"),
        run=fields.get("run", "r"),
        scale=encoded.scale,
    )


def longest_row(data_type: VectorType, *, key_bytes: int, dimension: int = 512, model: str = LONGEST_MODEL) -> Any:
    """The largest row that a key of so many bytes can have: every other value as long as it gets."""
    vector = np.random.default_rng(7).normal(size=dimension).astype(np.float32)
    stored = vector_item(vector, data_type, key="x" * key_bytes, etag=LONGEST_ETAG, model=model, run=LONGEST_RUN)
    return {**encode_item(stored), **MODIFIED}


@pytest.mark.parametrize(("data_type", "units"), [("float32", 3), ("float16", 2), ("int8", 1)])
def test_a_row_of_512_numbers_and_a_key_of_60_bytes_costs_what_the_design_says(
    data_type: VectorType, units: int
) -> None:
    assert write_units(longest_row(data_type, key_bytes=60)) == units


@pytest.mark.parametrize(("data_type", "longest_key"), [("float32", 371), ("float16", 371), ("int8", 113)])
def test_from_which_key_on_a_row_costs_a_unit_more(data_type: VectorType, longest_key: int) -> None:
    units = write_units(longest_row(data_type, key_bytes=longest_key))
    assert write_units(longest_row(data_type, key_bytes=60)) == units
    assert write_units(longest_row(data_type, key_bytes=longest_key + 1)) == units + 1


@pytest.mark.parametrize(("data_type", "units"), [("float32", 6), ("float16", 3), ("int8", 2)])
def test_what_a_row_of_1280_numbers_costs(data_type: VectorType, units: int) -> None:
    model = "efficientnet_lite0/ab3352bc3c78/standard-1/openvino-int8-0123abcd"
    row = longest_row(data_type, key_bytes=60, dimension=DIMENSIONS["efficientnet_lite0"], model=model)
    assert write_units(row) == units


@pytest.mark.parametrize("data_type", VECTOR_TYPES)
def test_the_longest_key_of_all_is_far_below_what_an_item_may_have(data_type: VectorType) -> None:
    assert item_bytes(longest_row(data_type, key_bytes=limits.KEY_BYTES)) < limits.ITEM_BYTES / 10


@pytest.mark.parametrize("data_type", VECTOR_TYPES)
def test_reads_give_float32_whatever_is_stored(data_type: VectorType) -> None:
    vector = np.linspace(-2, 2, 512, dtype=np.float32)
    row: dict[str, Any] = encode_item(vector_item(vector, data_type))
    of_table = {name: TypeDeserializer().deserialize(value) for name, value in row.items()}
    for read in (decode_vector(decode_item(row)), read_vector(of_table)):
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, vector, atol=2 / INT8_LARGEST / 2 * 1.001)


@given(arrays.arrays(np.float32, st.integers(1, 600), elements=FLOATS))
def test_int8_turns_no_vector_by_more_than_its_bound(vector: Any) -> None:
    restored = decode_vector(vector_item(vector, "int8")).astype(np.float64)
    exact = vector.astype(np.float64)
    norm = np.linalg.norm(exact)
    # Of smaller numbers float32 itself keeps few digits.
    assume(norm > 1 / LARGEST)
    # 1.001: scales have four digits.
    assert np.linalg.norm(restored - exact) / norm <= 1.001 * np.sqrt(len(vector)) / 254


@given(arrays.arrays(np.float32, 8, elements=FLOATS))
def test_a_vector_and_its_negative_are_stored_alike(vector: Any) -> None:
    one, other = encode_vector(vector, "int8"), encode_vector(-vector, "int8")
    assert one.scale == other.scale
    np.testing.assert_array_equal(np.frombuffer(one.data, np.int8), -np.frombuffer(other.data, np.int8))


@given(st.floats(1 / LARGEST, LARGEST, width=32))
def test_the_largest_number_is_127_and_the_scale_has_four_digits(largest: float) -> None:
    encoded = encode_vector(np.array([0, largest, -largest], np.float32), "int8")
    assert encoded.scale is not None
    low, middle, high = np.frombuffer(encoded.data, np.int8)[[2, 0, 1]]
    assert (low, middle, high) == (-127, 0, 127)
    assert Decimal(str(encoded.scale)) * INT8_LARGEST >= Decimal(largest)
    assert len(Decimal(str(encoded.scale)).normalize().as_tuple().digits) <= 4


def test_a_vector_of_zeros_stays_one() -> None:
    assert not decode_vector(vector_item(np.zeros(8, np.float32), "int8")).any()


@pytest.mark.parametrize("data_type", VECTOR_TYPES)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_stored_in_no_type(data_type: VectorType, number: float) -> None:
    with pytest.raises(RecordError, match=f"numbers that {data_type} cannot hold"):
        encode_vector(np.array([1, number, 2], np.float32), data_type)


def test_a_number_too_large_for_float16_is_not_stored_as_infinity() -> None:
    with pytest.raises(RecordError, match="Use vector_type float32"):
        encode_vector(np.array([70_000], np.float32), "float16")


@pytest.mark.parametrize(("data_type", "scale"), [("int8", None), ("float32", 0.5)])
def test_a_scale_belongs_to_int8_and_to_nothing_else(data_type: VectorType, scale: float | None) -> None:
    data = b"1" if data_type == "int8" else b"1234"
    with pytest.raises(RecordError, match="its scale is"):
        VectorItem("i", data, data_type, 1, datetime.now(UTC), "k", "e", "m", "r", scale=scale)
