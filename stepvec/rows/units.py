"""What a row costs to write and to read, by its vector's type and the length of its key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from stepvec.limits import EXECUTION_NAME_CHARACTERS, READ_UNIT_BYTES, WRITE_UNIT_BYTES
from stepvec.rows.indexed import IndexedVector, logical_bytes
from stepvec.rows.item import BYTES_PER_NUMBER, VectorItem, VectorType, encode_item, item_bytes

ETAG_CHARACTERS: Final = 38
"""S3's longest: of an object uploaded in 10,000 parts."""
ROW_OVERHEAD_BYTES: Final = 100
"""Of each item, while it is kept. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one model and vector type. Every value but the key has its greatest length, so no figure is too small."""

    model: str
    dimension: int
    vector_type: VectorType

    def index_bytes(self, key_bytes: Mapping[int, int]) -> int:
        """Logical bytes that all vectors take in an index of S3 Vectors, as float32 whatever the rows' type."""
        entry = IndexedVector("", "", "e" * ETAG_CHARACTERS, self.model, "2026-01-01T00:00:00.000+00:00")
        return sum(images * (logical_bytes(self.dimension, entry) + length) for length, images in key_bytes.items())

    def row_bytes(self, key_bytes: int) -> int:
        """Size of the row of a key of `key_bytes` bytes, which is also its image's id."""
        row = VectorItem(
            image_id="",
            vector=bytes(self.dimension * BYTES_PER_NUMBER[self.vector_type]),
            data_type=self.vector_type,
            dimension=self.dimension,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            key="",
            etag="e" * ETAG_CHARACTERS,
            model=self.model,
            run="r" * EXECUTION_NAME_CHARACTERS,
            scale=0.001234 if self.vector_type == "int8" else None,
        )
        modified = {"Modified": {"N": "1764158401"}}
        return item_bytes({**encode_item(row), **modified}) + 2 * key_bytes

    def write_units(self, key_bytes: Mapping[int, int]) -> int:
        """Write units of all rows, counted by their keys' lengths. A conditional write costs what any write does."""
        return sum(
            images * math.ceil(self.row_bytes(length) / WRITE_UNIT_BYTES) for length, images in key_bytes.items()
        )

    def read_units(self, key_bytes: Mapping[int, int]) -> int:
        """Read units of reading each row once, strongly consistent; a projection reads, and pays for, the whole row."""
        return sum(images * math.ceil(self.row_bytes(length) / READ_UNIT_BYTES) for length, images in key_bytes.items())

    def stored_gb(self, key_bytes: Mapping[int, int]) -> float:
        """GB that the rows take."""
        return sum(images * (self.row_bytes(length) + ROW_OVERHEAD_BYTES) for length, images in key_bytes.items()) / 1e9
