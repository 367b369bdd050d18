"""Rows of the table as columns: Arrow batches of what an export or `Stepvec.vectors` holds."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepvec.errors import ConfigurationError, RecordError
from stepvec.rows.item import BYTES_PER_NUMBER, VectorType, decode_item, vector_type
from stepvec.rows.vectors import decode_numbers

WireItem = Mapping[str, Mapping[str, Any]]
"""A row in DynamoDB's JSON; the bytes of `B` may be base64 text, as they are sent and as exports to S3 hold them."""

Numbers = Literal["float32", "float16"]
NUMBERS: Final[tuple[Numbers, ...]] = ("float32", "float16")
"""What the numbers of exported vectors may be, whatever type the rows store."""

METADATA: Final = "stepvec:"
"""What the keys of ours in a schema's metadata, a Parquet file's footer, begin with."""


def row_schema(dimension: int, numbers: Numbers = "float32", metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """The columns of a row: its key, then what it was made from and when, then its vector of `dimension` numbers."""
    number = pa.float32() if numbers == "float32" else pa.float16()
    return pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("key", pa.string(), nullable=False),
            pa.field("etag", pa.string(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("run", pa.string(), nullable=False),
            pa.field("created", pa.timestamp("ms", "UTC"), nullable=False),
            pa.field("modified", pa.timestamp("ms", "UTC")),
            pa.field("vector", pa.list_(pa.field("element", number, nullable=False), dimension), nullable=False),
        ],
        {f"{METADATA}{name}": text for name, text in (metadata or {}).items()},
    )


def dimension_of(item: WireItem) -> int:
    """How many numbers the row's vector has. Raises RecordError where it does not say so, or has another number."""
    dimension = _said_dimension(item)
    # Looked at before others are held against it: a row that contradicts itself is the one to name.
    _matrix([item], dimension)
    return dimension


def _said_dimension(item: WireItem) -> int:
    try:
        return int(item["Dimension"]["N"])
    except (KeyError, ValueError, TypeError) as error:
        raise _unreadable(item, error) from error


def record_batch(items: Sequence[WireItem], schema: pa.Schema) -> pa.RecordBatch:
    """The rows in the columns of `schema`, in their order.

    Raises RecordError for a row that was not written by Stepvec, for one whose vector has another dimension, and for
    numbers that float16 cannot hold.
    """
    columns: list[Any] = [[], [], [], [], [], [], []]
    image_ids, keys, etags, models, runs, created, modified = columns
    for item in items:
        try:
            image_ids.append(item["ImageId"]["S"])
            keys.append(item["Key"]["S"])
            etags.append(item["ETag"]["S"])
            models.append(item["Model"]["S"])
            runs.append(item["Run"]["S"])
            created.append(_milliseconds(item["Created"]["S"]))
            modified.append(int(item["Modified"]["N"]) * 1000 if "Modified" in item else None)
        except (KeyError, ValueError, TypeError) as error:
            raise _unreadable(item, error) from error
    vector = schema.field("vector").type
    numbers = _matrix(items, vector.list_size)
    if vector.value_type == pa.float16():
        numbers = _as_float16(numbers, image_ids)
    flat = pa.array(numbers.reshape(-1), vector.value_type)
    arrays = [
        *(pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)),
        pa.FixedSizeListArray.from_arrays(flat, type=vector),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def matrix(vectors: pa.Array) -> npt.NDArray[np.float32]:
    """A column of vectors as (N, D) float32."""
    numbers: npt.NDArray[np.float32] = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return numbers.reshape(len(vectors), vectors.type.list_size)


def _matrix(items: Sequence[WireItem], dimension: int) -> npt.NDArray[Any]:
    """The rows' vectors (N, D) as float32; those of one stored type are decoded together."""
    data: dict[VectorType, tuple[list[int], list[bytes], list[float]]] = {}
    for number, item in enumerate(items):
        try:
            stored = vector_type(item["DataType"]["S"])
            content = item["Vector"]["B"]
            raw = a2b_base64(content) if isinstance(content, str) else bytes(content)
            scale = float(item["Scale"]["N"]) if stored == "int8" else 1.0
        except (KeyError, ValueError, TypeError, ConfigurationError) as error:
            raise _unreadable(item, error) from error
        if _said_dimension(item) != dimension or len(raw) != dimension * BYTES_PER_NUMBER[stored]:
            raise _unreadable(item, ValueError(f"its vector does not have the {dimension} numbers of the others"))
        places, raws, scales = data.setdefault(stored, ([], [], []))
        places.append(number)
        raws.append(raw)
        scales.append(scale)
    whole = np.empty((len(items), dimension), np.float32)
    for stored, (places, raws, scales) in data.items():
        numbers = decode_numbers(b"".join(raws), stored).reshape(len(raws), dimension)
        whole[places] = numbers * np.array(scales, np.float32)[:, None] if stored == "int8" else numbers
    return whole


def _as_float16(numbers: npt.NDArray[Any], image_ids: list[str]) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        halved = numbers.astype(np.float16)
    if not (fits := np.isfinite(halved).all(axis=1)).all():
        raise RecordError(
            f"The vector of {image_ids[int(np.argmin(fits))]!r} has numbers that float16 cannot hold.",
            remedy="Take float32.",
        )
    return halved


def _milliseconds(created: str) -> int:
    moment = datetime.fromisoformat(created)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _unreadable(item: WireItem, error: Exception) -> RecordError:
    """What is wrong with a row, in the words of decode_item where it finds it too."""
    try:
        content = item.get("Vector", {}).get("B")
        decode_item({**item, "Vector": {"B": a2b_base64(content)}} if isinstance(content, str) else item)
    except RecordError as found:
        return found
    except (ValueError, TypeError, AttributeError) as other:
        error = other
    image_id = item.get("ImageId", {}).get("S", "(no ImageId)")
    return RecordError(
        f"The row of {image_id!r} cannot be read: {error}.",
        remedy="Embed the image again with Reembed, or delete the row.",
    )
