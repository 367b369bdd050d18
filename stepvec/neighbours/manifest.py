"""What an index says of itself: which exports it was made from, and its segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FORMAT: Final = 1
"""Of the index's files. Raised when they change; an index of another format is made again."""
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file of an export that the index has the rows of."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """Some of the index's rows: the folder that they are in, how many they are, and how many of them still count.

    `alive` names the file that says which; "" where all do. With inverted lists `probes` and `candidates` say how they
    are searched, and `recall` what was measured so: which share of the 10 nearest is found. Without, `probes` is 0.
    """

    name: str
    rows: int
    alive_rows: int
    alive: str
    probes: int
    candidates: int
    recall: float


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """manifest.json of an index. `generation` counts its changes; `bucket` is where the exported keys lie."""

    format: int
    generation: int
    model: str
    dimension: int
    table: str
    bucket: str
    region: str
    exports: tuple[tuple[IndexedFile, ...], ...]
    segments: tuple[SegmentEntry, ...]
