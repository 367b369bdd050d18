"""Where an export's rows come from, in lanes that are read side by side, each from wherever it stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from stepvec.adapters.table_scan import TableScan
from stepvec.export.format import ExportOrigin
from stepvec.export.selection import Selection

SCAN_SEGMENTS: Final = 8
"""Parts of a table that are read at a time: one waits for a page of 1 MB while others are converted."""


class SourcePage(NamedTuple):
    """Some rows in DynamoDB's JSON. `cursor` is where the lane goes on, None at its end."""

    items: list[dict[str, Any]]
    cursor: str | None
    read_units: float


class Source(Protocol):
    """What rows are read from."""

    origin: ExportOrigin
    lanes: int

    def pages(self, lane: int, cursor: str, stopped: threading.Event) -> Iterator[SourcePage]:
        """The pages of a lane from `cursor` ("" for its start), of rows that the selection covers."""


class ScanSource:
    """A table, by a parallel Scan."""

    def __init__(
        self, client: Any, origin: ExportOrigin, selection: Selection, *, segments: int = SCAN_SEGMENTS
    ) -> None:
        self.origin = origin
        self.lanes = segments
        self._scan = TableScan(client, origin.table, segments, selection.scan_request())

    def pages(self, lane: int, cursor: str, stopped: threading.Event) -> Iterator[SourcePage]:
        """As Source has it; a cursor is an image id."""
        after: str | None = cursor
        while after is not None and not stopped.is_set():
            page = self._scan.page(lane, after, stopped)
            after = page.last_key
            yield SourcePage(page.items, after, page.read_units)
