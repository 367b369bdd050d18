"""Synthetic images, any number of them: buckets that can only be listed, and tables that hold a row of each.

Nothing of them is kept in memory: key, size and ETag of an image follow from its number, and its number from its key.
`images-N` is a bucket of N images. Of the tables `rows-all` has the row of every image, and `rows-none` has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

BUCKET: Final = "images-"
"""Begins the names of the buckets; the number of images ends them."""
TABLE_WITH_ROWS: Final = "rows-all"
TABLE_WITHOUT_ROWS: Final = "rows-none"
MODEL: Final = "resnet18_v2/a81db45fd7b7/standard-1"
MODIFIED: Final = "2026-11-01T12:00:00.000Z"
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
        row = {"ImageId": key, "Key": key, "ETag": etag_of(number_of(key)), "Model": MODEL, "Run": "an-earlier-run"}
        return {name: {"S": value} for name, value in row.items()}
