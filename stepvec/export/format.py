"""What an export looks like (docs/export.md): its files and its manifest. `columns` has those of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from stepvec.export.columns import Numbers

FORMAT: Final = 1
"""Of the manifest and the columns. It is raised when a reader of the old one would misread the new one."""

MANIFEST: Final = "_manifest.json"
"""Written last: an export is whole if it is there. Readers of Parquet folders pass over names that begin with "_"."""

INDEX: Final = "_index"
"""What `stepvec index` makes of an export, beside its files. An export that takes its place takes it over."""

Form = Literal["parquet", "npy", "lance", "csv", "jsonl"]
FORMS: Final[tuple[Form, ...]] = ("parquet", "npy", "lance", "csv", "jsonl")
"""What the files of an export may be."""


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
    `prefixes` and `keys` are empty for the whole table. Times are ISO 8601, UTC.
    """

    format: int
    stepvec: str
    form: Form
    model: str
    dimension: int
    numbers: Numbers
    rows: int
    files: tuple[ExportedFile, ...]
    runs: Mapping[str, int]
    left_out: Mapping[str, int]
    origin: ExportOrigin
    prefixes: tuple[str, ...]
    keys: tuple[str, ...]
    since: Since | None
    started: str
    finished: str
    read_units: float


def footer_of(manifest: ExportManifest) -> dict[str, str]:
    """What the footer of one of its Parquet files says, beside the file's own rows by run."""
    return footer(manifest.stepvec, manifest.model, manifest.numbers, manifest.origin, manifest.started)


def footer(version: str, model: str, numbers: Numbers, origin: ExportOrigin, started: str) -> dict[str, str]:
    """As footer_of, while there is no manifest yet."""
    return {
        "version": version,
        "model": model,
        "numbers": numbers,
        "table": origin.table,
        "region": origin.region,
        "export": started,
    }
