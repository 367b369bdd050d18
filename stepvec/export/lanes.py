"""One lane of an export: reads its part of the source and writes it as Parquet files of bounded size."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepvec.errors import RecordError
from stepvec.export.columns import Numbers, WireItem, dimension_of, record_batch, row_schema
from stepvec.export.format import ExportedFile
from stepvec.export.parts import PartWriter
from stepvec.export.selection import Selection
from stepvec.export.sources import Source
from stepvec.export.state import LaneState, Tally

FILE_BYTES: Final = 256 * 1024 * 1024
"""Of vectors in one file: small enough to be uploaded again, large enough that 10 million rows are some hundred."""


class Dimension:
    """How many numbers the vectors of an export have: those of the first row that any lane sees."""

    def __init__(self, known: int = 0) -> None:
        self.known = known
        self._lock = threading.Lock()

    def of(self, item: WireItem) -> int:
        """The dimension. Raises RecordError for a row of another one."""
        found = dimension_of(item)
        with self._lock:
            self.known = self.known or found
        if found != self.known:
            raise RecordError(
                f"The row of {item['ImageId']['S']!r} has {found} numbers and others of its model have {self.known}.",
                remedy="Embed the image again with Reembed, or delete the row.",
            )
        return self.known


@dataclass(frozen=True, slots=True)
class LaneOrders:
    """What all lanes of an export have in common. `stamp` is in the names of its files, `footer` in each file."""

    source: Source
    selection: Selection
    numbers: Numbers
    footer: dict[str, str]
    stamp: str
    file_bytes: int
    folder: Path
    dimension: Dimension
    keep: Callable[[int, LaneState, Tally], None]
    """Called with the lane, where it stands, and what was counted since the last call, whenever it may be kept."""
    on_rows: Callable[[int], None]


class Lane:
    """Lane `number` from `state` to its end."""

    def __init__(self, orders: LaneOrders, number: int, state: LaneState) -> None:
        self._orders = orders
        self._number = number
        self._state = state
        self._part: PartWriter | None = None
        self._tally = Tally()

    def run(self, stopped: threading.Event) -> None:
        """Read and write until the end, or until `stopped`: what was written by then is kept."""
        orders = self._orders
        try:
            for page in orders.source.pages(self._number, self._state.cursor, stopped):
                self._tally.items += len(page.items)
                self._tally.read_units += page.read_units
                if chosen := orders.selection.of_model(page.items, self._tally.left_out):
                    self._write(chosen)
                if page.cursor is None:
                    self._keep("", is_done=True)
                elif stopped.is_set() or (self._part and self._part.vector_bytes >= orders.file_bytes):
                    self._keep(page.cursor, is_done=False)
        finally:
            if self._part:
                self._part.abandon()

    def _write(self, rows: list[WireItem]) -> None:
        orders = self._orders
        if self._part is None:
            schema = row_schema(orders.dimension.of(rows[0]), orders.numbers, orders.footer)
            name = f"part-{orders.stamp}-{self._number:02}-{len(self._state.files):05}.parquet"
            self._part = PartWriter(orders.folder / name, schema)
        self._part.write(record_batch(rows, self._part.schema))
        self._tally.runs.update(row["Run"]["S"] for row in rows)
        orders.on_rows(len(rows))

    def _keep(self, cursor: str, *, is_done: bool) -> None:
        files: tuple[ExportedFile, ...] = self._state.files
        if self._part:
            runs = json.dumps(self._tally.runs, ensure_ascii=False)
            files = (*files, self._part.close({"runs": runs}))
            self._part = None
        self._state = LaneState(cursor, is_done, files)
        tally, self._tally = self._tally, Tally()
        self._orders.keep(self._number, self._state, tally)
