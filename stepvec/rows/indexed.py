"""A row's vector in an index of S3 Vectors: its key there, what is stored beside it, and whether it is the row's.

The table stays the source of truth. An index entry belongs to a row if it carries the row's ETag, Model and Created: a
row that was embedded again, with the same model or not, has another Created. Pure: no boto3, no numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from stepvec.limits import VECTOR_KEY_CHARACTERS
from stepvec.rows.item import RowMetadata

DISTANCE: Final = "cosine"
"""The index's metric: `search` and `duplicates` compare by cosine as well."""
DATA_TYPE: Final = "float32"
"""The only one there is; vectors of other types are put as the float32 that a reader of the row gets."""
HASHED: Final = "sha256:"
"""Begins the key of a vector whose image id cannot be one."""
NON_FILTERABLE: Final = ("ETag", "Created", "Key", "ImageId")
"""Metadata that no query filters by: it costs a query nothing. `Model` is the one that queries filter by."""
BYTES_PER_NUMBER: Final = 4
VECTORS_A_PUT: Final = 100
"""Vectors of one PutVectors. S3 Vectors charges a put for MIN_PUT_BYTES at least: that is 57 vectors of 512 numbers. A
larger batch would cost the same, wait longer, and leave more to be done again after a host is lost."""
MIN_PUT_BYTES: Final = 128 * 1024
"""Of one PutVectors, as it is charged."""


@dataclass(frozen=True, slots=True)
class IndexedVector:
    """What an index holds of one image, without its numbers. What the entry lacks is ""."""

    image_id: str
    key: str
    etag: str
    model: str
    created: str

    def is_of(self, row: RowMetadata) -> bool:
        """Whether this is the vector that the row holds now."""
        return (self.etag, self.model, self.created) == (row.etag, row.model, row.created)


@dataclass(frozen=True, slots=True)
class VectorToIndex:
    """A vector to be put: `numbers` as float32 values, one for each dimension of the index."""

    entry: IndexedVector
    numbers: list[float]

    @property
    def logical_bytes(self) -> int:
        """What S3 Vectors charges for."""
        return logical_bytes(len(self.numbers), self.entry)


class IndexEntries(Protocol):
    """Where the entries of an index are read: a VectorIndex, for whoever needs no more of one."""

    def entries(self, image_ids: Iterable[str]) -> Iterator[dict[str, IndexedVector]]:
        """The entries that exist, by image id, some at a time."""
        ...


def lacking(index: IndexEntries, rows: Mapping[str, RowMetadata]) -> list[str]:
    """The ids of those rows, given by image id, whose vector the index lacks, or has of another row."""
    entries: dict[str, IndexedVector] = {}
    for batch in index.entries(rows):
        entries.update(batch)
    return [image_id for image_id, row in rows.items() if image_id not in entries or not entries[image_id].is_of(row)]


def logical_bytes(dimension: int, entry: IndexedVector) -> int:
    """What S3 Vectors counts of a vector: its numbers, its key, a byte a character, and its metadata.

    https://aws.amazon.com/s3/pricing/ (Vectors)
    """
    metadata = sum(len(name) + len(value.encode()) for name, value in encode_metadata(entry).items())
    return dimension * BYTES_PER_NUMBER + len(vector_key(entry.image_id).encode()) + metadata


def put_gb(puts: int, put_bytes: int) -> float:
    """GB that so many PutVectors of so many logical bytes together are charged for, at least."""
    return max(put_bytes, puts * MIN_PUT_BYTES) / 1e9


def index_name(dimension: int) -> str:
    """The index's name: one for each dimension, since an index takes vectors of one alone."""
    return f"dimension-{dimension}"


def vector_key(image_id: str) -> str:
    """The image's key in the index: its id, or the hash of an id that is too long or no valid UTF-8.

    No S3 key is too long: it has up to 1,024 bytes, and a vector's key up to as many characters. Ids that other writers
    gave rows may have 2,048 bytes.
    """
    encoded = image_id.encode("utf-8", "surrogatepass")
    is_unicode = not any("\ud800" <= character <= "\udfff" for character in image_id)
    if is_unicode and len(encoded) <= VECTOR_KEY_CHARACTERS:
        return image_id
    return f"{HASHED}{hashlib.sha256(encoded).hexdigest()}"


def encode_metadata(entry: IndexedVector) -> dict[str, str]:
    """The metadata of an entry: Key and ImageId only where the vector's key does not say them already."""
    metadata = {"Model": entry.model, "ETag": entry.etag, "Created": entry.created}
    if entry.key != entry.image_id:
        metadata["Key"] = _as_unicode(entry.key)
    if vector_key(entry.image_id) != entry.image_id:
        metadata["ImageId"] = _as_unicode(entry.image_id)
    return {name: value for name, value in metadata.items() if value}


def decode_entry(key: str, metadata: Mapping[str, Any] | None) -> IndexedVector:
    """The entry that GetVectors, ListVectors or QueryVectors answered, also one that others wrote."""
    known = {name: value for name, value in (metadata or {}).items() if isinstance(value, str)}
    image_id = known.get("ImageId", key)
    return IndexedVector(
        image_id=image_id,
        key=known.get("Key", image_id),
        etag=known.get("ETag", ""),
        model=known.get("Model", ""),
        created=known.get("Created", ""),
    )


def entry_of(row: RowMetadata) -> IndexedVector:
    """The entry that the row should have."""
    return IndexedVector(row.image_id, row.key, row.etag, row.model, row.created)


def _as_unicode(text: str) -> str:
    # What UTF-8 cannot hold (lone surrogates) no service takes.
    return text.encode("utf-8", "replace").decode()
