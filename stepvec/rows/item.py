"""The DynamoDB item of one image, in the wire format of DynamoDB's low-level API. Pure: no boto3, no numpy.

The original sample's reader works on it unchanged:
`np.frombuffer(item["Vector"].value, dtype=item["DataType"])` has `item["Dimension"]` numbers. Those of an int8 row are
to be multiplied by its `Scale`, which rows of the other types do not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeVar, get_args

from stepvec.errors import ConfigurationError, RecordError
from stepvec.limits import WRITE_UNIT_BYTES

VectorType = Literal["float32", "float16", "int8"]
VECTOR_TYPES: Final[tuple[VectorType, ...]] = get_args(VectorType)
BYTES_PER_NUMBER: Final[dict[VectorType, int]] = {"float32": 4, "float16": 2, "int8": 1}

PARTITION_KEY: Final = "ImageId"
METADATA_ATTRIBUTES: Final = (PARTITION_KEY, "Key", "ETag", "Model", "Run", "Modified", "Created")
"""The attributes that tell whether an image is already embedded: a projection without the vector."""

AttributeValue = Mapping[str, Any]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class VectorItem:
    """One row of the table. `vector` is little-endian, `dimension` numbers of type `data_type`.

    `scale` is what the numbers of an int8 vector are multiplied by, and None for the other types.
    """

    image_id: str
    vector: bytes
    data_type: VectorType
    dimension: int
    created: datetime
    key: str
    etag: str
    model: str
    run: str
    modified: datetime | None = None
    """S3's Last-Modified of the object version that was embedded; None in rows of other writers."""
    scale: float | None = None

    def __post_init__(self) -> None:
        if (self.scale is not None) != (self.data_type == "int8"):
            raise RecordError(
                f"The vector of {self.image_id!r} is {self.data_type} and its scale is {self.scale}.",
                remedy="A vector of int8, and no other, has a scale: embed the image again with Reembed.",
            )
        expected = self.dimension * BYTES_PER_NUMBER[self.data_type]
        if len(self.vector) != expected:
            raise RecordError(
                f"The vector of {self.image_id!r} has {len(self.vector)} bytes; {self.dimension} numbers of "
                f"{self.data_type} are {expected}.",
                remedy="Embed the image again with Reembed.",
            )

    @property
    def is_zero(self) -> bool:
        """Whether every number is 0: such a vector has no direction."""
        return not any(self.vector)


@dataclass(frozen=True, slots=True)
class RowMetadata:
    """A row's attributes without its vector. One that the row lacks is "", or None for `modified`."""

    image_id: str
    key: str
    etag: str
    model: str
    run: str
    modified: int | None = None
    """Seconds since 1970."""
    created: str = ""
    """As the row says it, ISO 8601."""

    def is_embedding_of(self, etag: str, model: str) -> bool:
        """Whether the row holds the vector of the object with this ETag by this model."""
        return self.etag == etag and self.model == model

    def was_written_since(self, moment: datetime) -> bool:
        """Whether the row says that it was written then or later; one that says nothing of it was not."""
        try:
            created = datetime.fromisoformat(self.created)
        except ValueError:
            return False
        # The original sample's have no time zone.
        return created.tzinfo is not None and created >= moment


class MetadataTable(Protocol):
    """Where the metadata of rows is read: a VectorTable, for whoever needs no more of one."""

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        """The metadata of the rows that exist, by image id, some at a time."""
        ...


def one_of(names: tuple[Name, ...], text: str, what: str) -> Name:
    """That of `names` which `text` is; `what` says in the error what they are. Raises ConfigurationError."""
    for name in names:
        if text == name:
            return name
    raise ConfigurationError(f"{what} {text!r} is unknown.", remedy=f"Use one of {', '.join(names)}.")


def vector_type(text: str) -> VectorType:
    """The vector type named `text`. Raises ConfigurationError for one that is unknown."""
    return one_of(VECTOR_TYPES, text, "Vector type")


def encode_item(item: VectorItem) -> dict[str, AttributeValue]:
    """The item as PutItem takes it."""
    modified = {} if item.modified is None else {"Modified": {"N": str(int(item.modified.timestamp()))}}
    scale = {} if item.scale is None else {"Scale": {"N": str(item.scale)}}
    return {
        PARTITION_KEY: {"S": item.image_id},
        "Vector": {"B": item.vector},
        "DataType": {"S": item.data_type},
        "Dimension": {"N": str(item.dimension)},
        "Created": {"S": _created(item)},
        "Key": {"S": item.key},
        "ETag": {"S": item.etag},
        "Model": {"S": item.model},
        "Run": {"S": item.run},
        **modified,
        **scale,
    }


def decode_item(item: Mapping[str, AttributeValue]) -> VectorItem:
    """The row that GetItem or Scan returned. Raises RecordError naming the attribute that is missing or wrong."""
    row = _text(item, PARTITION_KEY, row="(no ImageId)")
    try:
        return VectorItem(
            image_id=row,
            vector=bytes(item["Vector"]["B"]),
            data_type=vector_type(_text(item, "DataType", row=row)),
            dimension=int(item["Dimension"]["N"]),
            created=datetime.fromisoformat(_text(item, "Created", row=row)),
            key=_text(item, "Key", row=row),
            etag=_text(item, "ETag", row=row),
            model=_text(item, "Model", row=row),
            run=_text(item, "Run", row=row),
            modified=datetime.fromtimestamp(int(item["Modified"]["N"]), UTC) if "Modified" in item else None,
            scale=float(item["Scale"]["N"]) if "Scale" in item else None,
        )
    except (KeyError, ValueError, TypeError, ConfigurationError) as error:
        raise RecordError(
            f"The row of {row!r} cannot be read: {error!s}.",
            remedy="It was not written by Stepvec; embed the image again.",
        ) from error


def decode_metadata(item: Mapping[str, AttributeValue]) -> RowMetadata:
    """The metadata of a row that may have been written by the original sample, which has no ETag, Model or Run."""
    return RowMetadata(
        image_id=_text(item, PARTITION_KEY, row="(no ImageId)"),
        key=item.get("Key", {}).get("S", ""),
        etag=item.get("ETag", {}).get("S", ""),
        model=item.get("Model", {}).get("S", ""),
        run=item.get("Run", {}).get("S", ""),
        modified=int(item["Modified"]["N"]) if "Modified" in item else None,
        created=item.get("Created", {}).get("S", ""),
    )


def metadata_of(item: VectorItem) -> RowMetadata:
    """The metadata of the row that the item becomes."""
    return RowMetadata(
        image_id=item.image_id,
        key=item.key,
        etag=item.etag,
        model=item.model,
        run=item.run,
        modified=None if item.modified is None else int(item.modified.timestamp()),
        created=_created(item),
    )


def item_bytes(item: Mapping[str, AttributeValue]) -> int:
    """Size of an item by DynamoDB's rule: each name, and each value's bytes; a number ~1 byte per 2 digits + 1.

    Leading and trailing zeros of a number do not count as digits.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def write_units(item: Mapping[str, AttributeValue]) -> int:
    """Write units that one put of the item costs: one for each started KB."""
    return math.ceil(item_bytes(item) / WRITE_UNIT_BYTES)


def _created(item: VectorItem) -> str:
    return item.created.astimezone(UTC).isoformat(timespec="milliseconds")


def _value_bytes(value: AttributeValue) -> int:
    (kind, content), *_ = value.items()
    if kind == "B":
        return len(content)
    if kind == "N":
        return (len(Decimal(content).normalize().as_tuple().digits) + 1) // 2 + 1
    return len(str(content).encode())


def _text(item: Mapping[str, AttributeValue], name: str, *, row: str) -> str:
    try:
        value = item[name]["S"]
    except (KeyError, TypeError) as error:
        raise RecordError(
            f"The row of {row!r} has no text attribute {name}.",
            remedy="It was not written by Stepvec; embed the image again.",
        ) from error
    return str(value)
