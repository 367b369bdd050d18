"""Synthetic images of the listing benchmark: key, size and ETag of image number n, and n of a key."""

from __future__ import annotations

from typing import Final

MODEL: Final = "resnet18_v2/a81db45fd7b7/standard-1"
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
