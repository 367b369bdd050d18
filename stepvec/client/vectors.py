"""A table's vectors in Python: batch by batch, from wherever somebody stopped, or all of them as a table."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepvec.adapters.table_scan import ScanPage, TableScan
from stepvec.client.deployment import Deployment
from stepvec.errors import ConfigurationError, InvalidInputError
from stepvec.export.columns import WireItem, dimension_of, matrix, record_batch, row_schema
from stepvec.export.selection import Selection
from stepvec.export.sources import SCAN_SEGMENTS

BATCH_ROWS: Final = 1_000
"""A batch has at least so many rows, but for the last, and up to a page more."""
_TOKEN_VERSION: Final = 1


class VectorBatch(NamedTuple):
    """Some rows of the table: `vectors` is (N, D) float32, row n is that of `ids[n]` and of the S3 key `keys[n]`."""

    ids: list[str]
    keys: list[str]
    vectors: npt.NDArray[np.float32]


class Vectors(Iterator[VectorBatch]):
    """The rows of a selection, as an iterator of batches. Memory is that of a batch and `segments` pages.

    `token` says how far it is, after each batch: `Stepvec.vectors(after=token)` goes on behind that batch, in whatever
    process, and no row is lost or doubled. A row that is written meanwhile is given as it was before or after.
    """

    def __init__(self, deployment: Deployment, selection: Selection, *, segments: int | None, after: str) -> None:
        self._selection = selection
        self._what = [deployment.table, selection.model, list(selection.prefixes), list(selection.keys)]
        self._positions = self._begin(segments, after)
        self._scan = TableScan(
            deployment.client("dynamodb"), deployment.table, len(self._positions), selection.scan_request()
        )
        self._batches = self._read()
        self.left_out: Counter[str] = Counter()
        """Rows of other models that were passed over so far, by model; "" for rows that name none."""

    @property
    def token(self) -> str:
        """How far it is: behind the last batch that was given. Text, a few hundred bytes."""
        document = {"v": _TOKEN_VERSION, "what": self._what, "after": self._positions}
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()

    def __next__(self) -> VectorBatch:
        batch = self._next()
        return VectorBatch(batch["image_id"].to_pylist(), batch["key"].to_pylist(), matrix(batch["vector"]))

    def record_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows that are left, with all columns of an export (docs/export.md), some at a time."""
        while (batch := self._next_or_none()) is not None:
            yield batch

    def to_arrow(self) -> pa.Table:
        """All rows that are left, with all columns of an export (docs/export.md), as a pyarrow Table: in memory."""
        batches = list(self.record_batches())
        return pa.Table.from_batches(batches) if batches else row_schema(0).empty_table()

    def to_pandas(self) -> Any:
        """As to_arrow, but as a pandas DataFrame, each vector an array. Raises ConfigurationError without pandas."""
        try:
            import pandas  # noqa: F401 - to_pandas of pyarrow would say less
        except ImportError as error:
            raise ConfigurationError(
                "pandas is not installed.", remedy="Install it beside Stepvec (pip install pandas), or use to_arrow()."
            ) from error
        return self.to_arrow().to_pandas()

    def _next(self) -> pa.RecordBatch:
        batch, self._positions = next(self._batches)
        return batch

    def _next_or_none(self) -> pa.RecordBatch | None:
        try:
            return self._next()
        except StopIteration:
            return None

    def _read(self) -> Iterator[tuple[pa.RecordBatch, list[str | None]]]:
        """Batches, each with the positions behind it."""
        positions, waiting = list(self._positions), list[WireItem]()
        schema: pa.Schema | None = None
        for segment, page in self._pages():
            waiting += self._selection.of_model(page.items, self.left_out)
            positions[segment] = page.last_key
            is_last = not any(position is not None for position in positions)
            if waiting and (is_last or len(waiting) >= BATCH_ROWS):
                schema = schema or row_schema(dimension_of(waiting[0]))
                yield record_batch(waiting, schema), list(positions)
                waiting = []
        self._positions = positions

    def _pages(self) -> Iterator[tuple[int, ScanPage]]:
        """The pages of all segments as they come, one of each ahead."""
        with ThreadPoolExecutor(len(self._positions), thread_name_prefix="vectors") as pool:
            pending = {
                pool.submit(self._scan.page, segment, after): segment
                for segment, after in enumerate(self._positions)
                if after is not None
            }
            while pending:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    segment, page = pending.pop(future), future.result()
                    if page.last_key is not None:
                        pending[pool.submit(self._scan.page, segment, page.last_key)] = segment
                    yield segment, page

    def _begin(self, segments: int | None, after: str) -> list[str | None]:
        """Where each segment begins: "" at its start, None where nothing is left of it."""
        if not after:
            if segments is not None and segments < 1:
                raise InvalidInputError(f"segments is {segments}.", remedy="Give a number from 1 on, such as 8.")
            return [""] * (segments or SCAN_SEGMENTS)
        try:
            document = json.loads(base64.urlsafe_b64decode(after.encode()))
            what, positions = document["what"], document["after"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                "`after` is not a token of vectors().", remedy="Give the `token` of one."
            ) from error
        if document.get("v") != _TOKEN_VERSION or what != self._what or segments not in (None, len(positions)):
            raise InvalidInputError(
                "The token is of another table, prefix, model or number of segments.",
                remedy="Go on with the arguments that it was made with, or begin again without it.",
            )
        return list(positions)
