"""Which keys are images, what the others are counted as, and the id that a row gets."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final, Literal

ImageIdScheme = Literal["key", "stem"]

IMAGE_SUFFIXES: Final = frozenset(
    {
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff"),
        *("avif", "heic", "heif", "jxl"),
    }
)
"""Suffixes of images, compared in any case. One that the worker cannot read is a failure that names its format."""
IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow's names of the formats that it reads by itself; other decoders of its own never see bytes from outside."""
MAX_IMAGE_BYTES: Final = 64 * 1024 * 1024
"""Bytes of the largest object that is taken for an image, unless a deployment says otherwise."""
MAX_IMAGE_PIXELS: Final = 64_000_000
"""Pixels that an image may have as it is decoded, unless a deployment says otherwise."""
ALL_SUFFIXES: Final = "*"
NO_SUFFIX: Final = "(none)"
"""Stands for keys without a suffix, in `Suffixes` and in counts."""
APPLE_DOUBLE: Final = "(AppleDouble)"
"""Stands in counts for what macOS puts beside its files: `._photo.jpg`, and everything in `__MACOSX/`."""

_IN_A_URL: Final = re.compile(rf"\.({'|'.join(sorted(IMAGE_SUFFIXES))})(?=[?#;:!&@%])", re.IGNORECASE)


def suffix(key: str) -> str:
    """The key's suffix in lower case without its dot; "" where there is none. `a/.jpg` has none: it is a name.

    The same as posixpath.splitext of the basename, in a third of its time; but an image's suffix counts also where the
    rest of a URL follows it, as in `photo.jpg?v=2.1`, `photo.jpg:large` and `photo.jpg%3Fv=2`.
    """
    name = key[key.rfind("/") + 1 :]
    end = _end(name)
    if end in IMAGE_SUFFIXES:
        return end
    found = _IN_A_URL.search(name)
    return (found and _end(name[: found.end()])) or end


@dataclass(frozen=True, slots=True)
class SuffixRule:
    """Which listed keys are tried: those with a suffix of IMAGE_SUFFIXES or `more`; all of them if `more` has "*"."""

    more: tuple[str, ...] = ()

    def ignored_as(self, key: str, size: int) -> str:
        """What a key that is not tried is counted as: its suffix, or a word in brackets; "" for one that is tried."""
        if _is_apple_double(key):
            return APPLE_DOUBLE
        end = suffix(key)
        if end in IMAGE_SUFFIXES or (end and end in self.more):
            return ""
        if ALL_SUFFIXES in self.more or (not end and NO_SUFFIX in self.more):
            # An empty object with such a name is what consoles make of a folder.
            return NO_SUFFIX if key.endswith("/") and not size else ""
        return end or NO_SUFFIX


ONLY_IMAGES: Final = SuffixRule()
"""What holds where nothing is said of suffixes."""


def image_id(key: str, scheme: ImageIdScheme) -> str:
    """The partition key of the image's row: the whole S3 key, or the file's stem as the original sample took it."""
    if scheme == "key":
        return key
    return posixpath.splitext(posixpath.basename(key))[0]


def _end(name: str) -> str:
    stem, _, end = name.rpartition(".")
    return end.lower() if stem.strip(".") else ""


def _is_apple_double(key: str) -> bool:
    # Attributes and resource forks of the file beside them: https://datatracker.ietf.org/doc/html/rfc1740
    return key.startswith("._", key.rfind("/") + 1) or key.startswith("__MACOSX/") or "/__MACOSX/" in key
