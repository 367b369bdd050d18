"""What an export looks like (docs/export.md): its files, the columns of its rows, its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

FORMAT: Final = 1
"""Of the manifest and the columns. It is raised when a reader of the old one would misread the new one."""

MANIFEST: Final = "_manifest.json"
"""Written last: an export is whole if it is there. Readers of Parquet folders pass over names that begin with "_"."""

Numbers = Literal["float32", "float16"]
NUMBERS: Final[tuple[Numbers, ...]] = ("float32", "float16")
"""What the numbers of exported vectors may be, whatever type the rows store."""

METADATA: Final = "stepvec:"
"""What the keys of ours in a Parquet file's footer begin with."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export: its name within it, rows, size, and the sha256 of its bytes."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportOrigin:
    """Which table an export was read from, and how.

    kind: "scan", or "point-in-time" for DynamoDB's own export, which `uri` then names. `as_of` is the moment whose rows
    it has; "" for a scan, which sees each row as it is when it comes to it.
    """

    table: str
    region: str
    image_bucket: str
    kind: Literal["scan", "point-in-time"] = "scan"
    uri: str = ""
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Since:
    """What an incremental export has: the rows written since this run began, by its start (ISO 8601, UTC)."""

    run: str
    started: str


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """`_manifest.json`. All rows are of one `model`; `runs` counts them by the run that wrote them.

    `left_out` counts the rows of other models that were passed over, by model ("" for rows that name none).
    `prefixes` is empty for the whole table. Times are ISO 8601, UTC.
    """

    format: int
    stepvec: str
    model: str
    dimension: int
    numbers: Numbers
    rows: int
    files: tuple[ExportedFile, ...]
    runs: Mapping[str, int]
    left_out: Mapping[str, int]
    origin: ExportOrigin
    prefixes: tuple[str, ...]
    since: Since | None
    started: str
    finished: str
    read_units: float


def vector_type(dimension: int, numbers: Numbers) -> pa.DataType:
    """The type of the column `vector`."""
    return pa.list_(pa.field("item", pa.float32() if numbers == "float32" else pa.float16(), nullable=False), dimension)


def row_schema(dimension: int, numbers: Numbers = "float32", metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """The columns of an exported row: its key, then what it was made from and when, then its vector."""
    return pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("key", pa.string(), nullable=False),
            pa.field("etag", pa.string(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("run", pa.string(), nullable=False),
            pa.field("created", pa.timestamp("ms", "UTC"), nullable=False),
            pa.field("modified", pa.timestamp("ms", "UTC")),
            pa.field("vector", vector_type(dimension, numbers), nullable=False),
        ],
        {f"{METADATA}{name}": text for name, text in (metadata or {}).items()},
    )
