"""How far an export is: what a stopped one goes on from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepvec.export.columns import Numbers
from stepvec.export.format import ExportedFile, ExportOrigin, Since

STATE: Final = "_unfinished.json"
"""Beside the parts of an export that is going on, or that broke off."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What was asked for. Only the same request goes on with an export that broke off."""

    model: str
    numbers: Numbers
    prefixes: tuple[str, ...]
    keys: tuple[str, ...]
    since: Since | None
    origin: ExportOrigin
    file_bytes: int


@dataclass(frozen=True, slots=True)
class LaneState:
    """Where one lane stands: rows up to `cursor` are in `files`. `cursor` is the source's, "" at its start."""

    cursor: str
    is_done: bool
    files: tuple[ExportedFile, ...]


@dataclass(slots=True)
class Tally:
    """What was read and written."""

    items: int = 0
    """Rows that the source gave, those of other models included."""
    read_units: float = 0.0
    runs: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add what another one counted."""
        self.items += other.items
        self.read_units += other.read_units
        self.runs.update(other.runs)
        self.left_out.update(other.left_out)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self.runs.total()


@dataclass(frozen=True, slots=True)
class ExportState:
    """`_unfinished.json`: written whenever a part is whole, so that nothing is lost or doubled by going on."""

    request: ExportRequest
    started: str
    dimension: int
    """Of the vectors so far; 0 while there are none."""
    lanes: tuple[LaneState, ...]
    items: int = 0
    read_units: float = 0.0
    runs: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    owner: str = ""
    """Of the process that wrote it: no two write the same state, and none the other's files."""

    @property
    def files(self) -> list[ExportedFile]:
        """The files of all lanes, in the order of the manifest."""
        return [file for lane in self.lanes for file in lane.files]
