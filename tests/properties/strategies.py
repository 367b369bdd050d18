"""What the properties are tried on: keys as S3 allows them, and images of such keys."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from stepvec.limits import KEY_BYTES
from stepvec.runs.images import ONLY_IMAGES
from stepvec.runs.listing import ListedImage


def is_image(key: str) -> bool:
    """Whether a listing takes the key for an image where nothing is said of suffixes."""
    return not ONLY_IMAGES.ignored_as(key, 1)


PROPERTY: Final = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

UNICODE: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Any text that UTF-8 can hold: control characters, newlines and all planes, but no lone surrogates."""
SEGMENTS: Final = st.sampled_from(
    ["", "a", "b", "ab", ".", "..", "\n", 'q"', "50%2F", "1 + 1", "ü", "日本", "s3:", "x" * 400]
)
SUFFIXES: Final = st.sampled_from(
    ["", ".", ".jpg", ".JPG", ".jpeg", ".png", ".TiFF", ".txt", ".jpg.txt", ".tar.gz", "/"]
)


def _cut(text: str) -> str:
    """The end of `text`, no longer than a key may be."""
    return text.encode()[-KEY_BYTES:].decode(errors="ignore")


PATHS: Final = st.lists(SEGMENTS | UNICODE, min_size=1, max_size=5).map("/".join)
KEYS: Final = st.builds(lambda path, suffix: _cut(path + suffix), PATHS, SUFFIXES).filter(bool)
"""Keys of 1 to 1,024 bytes, many with folders in common, `//`, names that are all suffix, and no suffix at all."""
ODD_IMAGE_KEYS: Final = PATHS.map(lambda path: _cut(f"{path}.jpg")).filter(is_image)
IMAGE_KEYS: Final = st.builds(
    lambda folder, stem, suffix: f"{folder}/{stem}{suffix}",
    st.sampled_from(["a", "b", "a/b"]),
    st.sampled_from(["1", "2", "3", "4"]) | UNICODE.filter(bool),
    st.sampled_from([".jpg", ".png", ".GIF"]),
)
"""Few folders, stems and suffixes, so that stems meet."""


def listed(key: str, size: int = 10) -> ListedImage:
    """The image of that key, as listed."""
    return ListedImage(key, size, f"etag of {key}")
