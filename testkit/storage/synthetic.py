"""Synthetic images, any number of them: buckets that can only be listed, and tables that hold a row of each.

Nothing of them is kept in memory: key, size and ETag of an image follow from its number, and its number from its key.
`images-N` is a bucket of N images. Of the tables `rows-all` has the row of every image, and `rows-none` has none.
`vectors-N-D` has N rows with vectors of D numbers, and can be scanned.
"""

from __future__ import annotations

import base64
import random
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

BUCKET: Final = "images-"
"""Begins the names of the buckets; the number of images ends them."""
TABLE_WITH_ROWS: Final = "rows-all"
TABLE_WITHOUT_ROWS: Final = "rows-none"
MODEL: Final = "resnet18_v2/a81db45fd7b7/standard-1"
RUN: Final = "an-earlier-run"
"""Wrote all rows that there are."""
MODIFIED: Final = "2026-11-01T12:00:00.000Z"
SCAN_PAGE_BYTES: Final = 1024 * 1024
_METADATA_BYTES: Final = 300
_VECTORS: Final = 61
"""Prime: rows of a page that follow each other, and pages, do not repeat together."""
_FOLDER_IMAGES: Final = 1_000
# Odd, so that the products are a permutation of all 128-bit numbers: as random to look at as MD5, and as hard to zip.
_SCATTER: Final = 0xDA942042E4DD58B59E3779B97F4A7C15


def key_of(number: int) -> str:
    """Key of image `number`, 44 bytes; keys are in the order of their numbers."""
    return f"images/holidays/{number // _FOLDER_IMAGES:07d}/IMG_{number:012d}.jpg"


def number_of(key: str) -> int:
    """Number of the image that `key` names."""
    return int(key[-16:-4])


def etag_of(number: int) -> str:
    """ETag of image `number`, 32 hexadecimal digits."""
    return f"{(number + 1) * _SCATTER % 2**128:032x}"


def size_of(number: int) -> int:
    """Bytes of image `number`: 100,000 to 300,000."""
    return 100_000 + number * 7_919 % 200_000


@dataclass(frozen=True, slots=True)
class SyntheticBucket:
    """A bucket of the first `images` images, all of them under the prefix that is asked for."""

    images: int

    @classmethod
    def named(cls, name: str) -> SyntheticBucket | None:
        """The bucket of this name, if it is a synthetic one."""
        count = name.removeprefix(BUCKET)
        return cls(int(count)) if count != name and count.isdecimal() else None

    def page(self, prefix: str, after: str, most: int) -> Iterator[tuple[str, int, str, str, str]]:  # noqa: ARG002
        """Key, size, ETag, date and storage class of up to `most` images behind the key `after`."""
        first = number_of(after) + 1 if after else 0
        for number in range(first, min(first + most, self.images)):
            yield key_of(number), size_of(number), etag_of(number), MODIFIED, "STANDARD"


class SyntheticRows:
    """The rows of `rows-all`: one of every image."""

    def get(self, key: str) -> dict[str, Any]:
        """The row of an image, in DynamoDB's wire format."""
        row = {"ImageId": key, "Key": key, "ETag": etag_of(number_of(key)), "Model": MODEL, "Run": RUN}
        return {name: {"S": value} for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class SyntheticVectors:
    """A table of `rows` rows, each with one of some vectors of `dimension` random numbers in float32."""

    rows: int
    dimension: int

    @classmethod
    def named(cls, name: str) -> SyntheticVectors | None:
        """The table of this name, if it is a synthetic one."""
        match = re.fullmatch(r"vectors-(\d+)-(\d+)", name)
        return cls(int(match[1]), int(match[2])) if match else None

    def page(self, segment: int, segments: int, after: str) -> bytes:
        """The body of an answer to Scan: up to 1 MB of the rows of a segment behind the key `after`."""
        first = number_of(after) + 1 if after else self.rows * segment // segments
        end = self.rows * (segment + 1) // segments
        row_bytes = self.dimension * 4 + _METADATA_BYTES
        last = min(end, first + SCAN_PAGE_BYTES // row_bytes)
        items = ",".join(self.item(number) for number in range(first, last))
        goes_on = f',"LastEvaluatedKey":{{"ImageId":{{"S":"{key_of(last - 1)}"}}}}' if last < end else ""
        units = -(-(last - first) * row_bytes // 4096) / 2
        capacity = f'"ConsumedCapacity":{{"TableName":"v","CapacityUnits":{units}}}'
        count = last - first
        return f'{{"Items":[{items}],"Count":{count},"ScannedCount":{count},{capacity}{goes_on}}}'.encode()

    def item(self, number: int) -> str:
        """The row of image `number` in DynamoDB's JSON."""
        vectors = _vectors(self.dimension)
        key = key_of(number)
        return (
            f'{{"ImageId":{{"S":"{key}"}},"Key":{{"S":"{key}"}},"ETag":{{"S":"{etag_of(number)}"}},'
            f'"Model":{{"S":"{MODEL}"}},"Run":{{"S":"{RUN}"}},"Created":{{"S":"2026-11-01T12:30:00.000+00:00"}},'
            f'"Modified":{{"N":"1793534400"}},"DataType":{{"S":"float32"}},"Dimension":{{"N":"{self.dimension}"}},'
            f'"Vector":{{"B":"{vectors[number % len(vectors)]}"}}}}'
        )


@lru_cache(maxsize=4)
def _vectors(dimension: int) -> list[str]:
    generator = random.Random(dimension)
    numbers = (array("f", (generator.gauss(0, 1) for _ in range(dimension))) for _ in range(_VECTORS))
    return [base64.b64encode(vector.tobytes()).decode() for vector in numbers]
