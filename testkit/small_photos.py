"""Any number of small photos out of a few real ones: cut out and scaled down, no two the same."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Final

from PIL import Image

from local_pipeline.installation import ROOT
from stepvec.errors import ConfigurationError
from testkit.pictures import etag_of

SOURCES: Final = (ROOT.parent / "shared" / "data" / "clothing", ROOT / "build" / "photos")
SIDES: Final = (96, 160)
"""Shortest and longest side of what is made, in pixels."""
_KEPT_SIDE: Final = 480
_KEPT: Final = 100
"""About so many photos are held in memory, half a megabyte each."""
_SUFFIXES: Final = {".jpg", ".jpeg", ".png"}


def real_photos() -> list[Image.Image]:
    """The photos beside the checkout, or those of scikit-image, scaled down. Raises ConfigurationError without any."""
    photos: list[Image.Image] = []
    for folder in SOURCES:
        paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES]
        for path in paths[:: max(1, len(paths) // _KEPT)] if not photos else []:
            with Image.open(path) as image:
                photo = image.convert("RGB")
            photo.thumbnail((_KEPT_SIDE, _KEPT_SIDE))
            if min(photo.size) >= SIDES[1]:
                photos.append(photo)
    if not photos:
        raise ConfigurationError("There are no photos to make others of.", remedy="Run `make build/photos`.")
    return photos


def small_photos(count: int, seed: int) -> Iterator[bytes]:
    """`count` JPEGs of 2 to 6 KB, each another one; the same for the same seed and photos."""
    photos, generator, seen = real_photos(), random.Random(seed), set[str]()
    while len(seen) < count:
        photo = photos[len(seen) % len(photos)]
        width, height = (generator.randint(*SIDES) for _ in range(2))
        scale = generator.uniform(1.0, min(photo.width / width, photo.height / height))
        box_width, box_height = width * scale, height * scale
        left, top = generator.uniform(0, photo.width - box_width), generator.uniform(0, photo.height - box_height)
        buffer = io.BytesIO()
        photo.resize((width, height), box=(left, top, left + box_width, top + box_height)).save(buffer, "JPEG")
        data = buffer.getvalue()
        if etag_of(data) not in seen:
            seen.add(etag_of(data))
            yield data
