"""Which keys are images, and the id that a row gets."""

from __future__ import annotations

import posixpath
from typing import Final, Literal

ImageIdScheme = Literal["key", "stem"]

IMAGE_SUFFIXES: Final = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"})
"""Suffixes of images, compared in any case."""
IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow's names of the formats that it reads by itself; other decoders of its own never see bytes from outside."""


def suffix(key: str) -> str:
    """The key's suffix in lower case without its dot; "" where there is none. `a/.jpg` has none: it is a name.

    The same as posixpath.splitext of the basename, in a third of its time.
    """
    stem, _, end = key[key.rfind("/") + 1 :].rpartition(".")
    return end.lower() if stem.strip(".") else ""


def is_image(key: str) -> bool:
    """Whether the key's suffix is one of IMAGE_SUFFIXES."""
    return suffix(key) in IMAGE_SUFFIXES


def image_id(key: str, scheme: ImageIdScheme) -> str:
    """The partition key of the image's row: the whole S3 key, or the file's stem as the original sample took it."""
    if scheme == "key":
        return key
    return posixpath.splitext(posixpath.basename(key))[0]
