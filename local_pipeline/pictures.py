"""Photos of this machine by the keys that a run gave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local_pipeline.photos import collect_photos
from stepvec.client.pictures import MAX_BYTES, Reader


def from_folders(folders: Sequence[Path]) -> Reader:
    """Of photos on this machine, whose keys are those that `stepvec local run` gives them.

    A key that is none of these is the photo whose path ends most like it, if just one does.
    """
    photos = collect_photos(folders)
    by_end: dict[str, list[Path]] = {}
    for path in photos.values():
        by_end.setdefault(path.name, []).append(path)

    def read(key: str) -> bytes | None:
        path = photos.get(key) or _closest(key, by_end.get(key.rpartition("/")[2], []))
        return bytes_of(path) if path else None

    return read


def _closest(key: str, paths: Sequence[Path]) -> Path | None:
    """The one of `paths` that shares the most of its last parts with `key`; None where two do."""
    parts = key.split("/")[::-1]

    def shared(path: Path) -> int:
        pairs = zip(parts, path.parts[::-1], strict=False)
        return next((number for number, (one, other) in enumerate(pairs) if one != other), len(parts))

    ranked = sorted(paths, key=shared, reverse=True)
    if not ranked or (len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1])):
        return None
    return ranked[0]


def bytes_of(path: Path) -> bytes | None:
    """The bytes of a file; None for one that is too large for a picture, or cannot be read."""
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None
