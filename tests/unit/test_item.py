from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from stepvec.errors import RecordError
from stepvec.rows.item import VECTOR_TYPES, VectorItem, decode_item, decode_metadata, encode_item, item_bytes
from stepvec.rows.vectors import encode_vector

VECTOR = np.linspace(-2, 2, 512, dtype=np.float32)


def item(data_type: Any = "float32", *, vector: Any = VECTOR, key: str = "images/0001.jpg") -> VectorItem:
    encoded = encode_vector(vector, data_type)
    return VectorItem(
        image_id=key,
        vector=encoded.data,
        data_type=data_type,
        dimension=len(vector),
        created=datetime(2026, 11, 22, 12, 30, 1, 250_000, tzinfo=UTC),
        key=key,
        etag="d41d8cd98f00b204e9800998ecf8427e",
        model="resnet18_v2/a81db45fd7b7/standard-1",
        run="run-1",
        modified=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        scale=encoded.scale,
    )


@pytest.mark.parametrize("data_type", VECTOR_TYPES)
def test_what_is_encoded_is_decoded(data_type: str) -> None:
    stored = item(data_type)
    assert decode_item(encode_item(stored)) == stored


@pytest.mark.parametrize(("data_type", "tolerance"), [("float32", 0), ("float16", 1e-3), ("int8", 8e-3)])
def test_the_original_samples_reader_works_unchanged(data_type: str, tolerance: float) -> None:
    row = encode_item(item(data_type))
    read = np.frombuffer(row["Vector"]["B"], dtype=row["DataType"]["S"])
    assert len(read) == int(row["Dimension"]["N"]) == 512
    assert ("Scale" in row) == (data_type == "int8")
    scale = float(row["Scale"]["N"]) if "Scale" in row else 1
    np.testing.assert_allclose(read * scale, VECTOR, atol=tolerance)


def test_bytes_are_little_endian_whatever_the_array_is() -> None:
    big = np.array([1.0], dtype=">f4")
    assert encode_vector(big, "float32").data == b"\x00\x00\x80\x3f"


def test_item_size_follows_dynamodbs_rule() -> None:
    assert item_bytes({"ab": {"S": "é"}, "c": {"B": b"123"}, "n": {"N": "512"}}) == 2 + 2 + 1 + 3 + 1 + 3


@pytest.mark.parametrize(
    ("number", "size"),
    [("0", 2), ("7", 2), ("100", 2), ("-512", 3), ("0.01234", 3), ("1.234e-05", 3), ("1764158401", 6)],
)
def test_zeros_around_a_number_are_no_digits_of_it(number: str, size: int) -> None:
    assert item_bytes({"n": {"N": number}}) == 1 + size


def test_a_vector_of_the_wrong_length_is_no_item() -> None:
    with pytest.raises(RecordError, match="has 8 bytes"):
        VectorItem("i", b"12345678", "float32", 3, datetime.now(UTC), "k", "e", "m", "r")


@pytest.mark.parametrize("missing", ["Vector", "DataType", "Dimension", "Created", "Key", "ETag", "Model", "Run"])
def test_a_row_that_lacks_an_attribute_is_named(missing: str) -> None:
    row = encode_item(item())
    del row[missing]
    with pytest.raises(RecordError, match=missing):
        decode_item(row)


def test_a_row_without_modified_is_read_and_its_mark_too() -> None:
    row = encode_item(item())
    assert decode_metadata(row).modified == item().modified.timestamp()  # type: ignore[union-attr]
    del row["Modified"]
    assert decode_item(row).modified is None
    assert decode_metadata(row).modified is None


def test_a_row_of_the_original_sample_has_a_mark_that_matches_nothing() -> None:
    row = decode_metadata({"ImageId": {"S": "0001"}, "Vector": {"B": b""}})
    assert (row.image_id, row.key, row.etag) == ("0001", "", "")
    assert not row.is_embedding_of("d41d8", "resnet18_v2/a81db45fd7b7/standard-1")
