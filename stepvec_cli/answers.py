"""What commands answer: text for people, or with `--json` one JSON document, alone on standard output.

The records here are the answers that are of no use without the command line; others lie where they are made. `ANSWERS`
names each, and docs/json.md is made from them. A field may be added; none is renamed, taken away or given another type
before a new major version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from stepvec.client.doctor import Finding
from stepvec.estimate.plan import Plan
from stepvec.rows.model import ModelCard
from stepvec.runs.reports import RunReport

if TYPE_CHECKING:
    from stepvec.client.runs import RunEnd


def print_json(answer: Any) -> None:
    """Print a record (a dataclass) as JSON, indented. Non-ASCII text stays as it is."""
    from stepvec import codec  # cattrs takes a while to import

    typer.echo(json.dumps(codec.to_document(answer), indent=2, ensure_ascii=False))


ANSWERS: Final[dict[str, tuple[str, ...]]] = {
    "local run": ("stepvec_cli.answers:LocalRunAnswer",),
    "local status": ("stepvec_cli.answers:LocalStatusAnswer",),
    "doctor": ("stepvec_cli.answers:DoctorAnswer",),
    "deploy": ("stepvec_cli.answers:DeployAnswer",),
    "destroy": ("stepvec_cli.answers:DestroyAnswer",),
    "plan": ("stepvec_cli.answers:PlanAnswer",),
    "run": ("stepvec_cli.answers:RunAnswer",),
    "status": ("stepvec_cli.answers:StatusAnswer",),
    "report": ("stepvec.runs.reports:RunReport",),
    "repair": ("stepvec_cli.answers:RepairAnswer",),
    "cancel": ("stepvec_cli.answers:CancelAnswer",),
    "export": ("stepvec.client.exporting:ExportAnswer",),
    "index": ("stepvec.neighbours.building:IndexChanges",),
    "search": ("stepvec_cli.search:SearchAnswer",),
    "duplicates": ("stepvec.neighbours.groups:Duplicates",),
    "outliers": ("stepvec.neighbours.outliers:Outliers",),
    "view": ("stepvec_cli.answers:ViewAnswer",),
    "audit": ("stepvec.audit.compare:Finding", "stepvec_cli.answers:AuditAnswer"),
    "weights": ("stepvec_cli.answers:WeightsAnswer",),
    "calibrate": ("stepvec_cli.answers:CalibrateAnswer",),
    "inventory": ("stepvec_cli.answers:InventoryAnswer",),
}
"""`module:Class` of what each command prints with --json. Of two, the last is the last line, the first the others."""


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """Of `run`: the run's name, and with --wait how it ended. `status` is of Step Functions, RUNNING without --wait,
    unless the token of --http started it earlier."""

    run: str
    status: str
    error: str = ""
    cause: str = ""
    report: RunReport | None = None

    @classmethod
    def of(cls, ended: RunEnd) -> RunAnswer:
        """The answer for a run that has ended."""
        return cls(ended.run, ended.status, ended.error, ended.cause, ended.report)


@dataclass(frozen=True, slots=True)
class Up:
    """A local AWS that is up since `started` (UTC, ISO 8601), and the process that it runs in."""

    name: str
    endpoint_url: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class LocalStatusAnswer:
    """Of `local status`: the local AWS that are up, by name."""

    up: tuple[Up, ...]


@dataclass(frozen=True, slots=True)
class LocalRunAnswer:
    """Of `local run`: how the run ended, and the files with its results."""

    run: str
    status: str
    error: str
    cause: str
    report: RunReport | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepairAnswer:
    """Of `repair`: the run that was repaired, and the run of its undone images, None where nothing was undone."""

    repaired: str
    images: int
    run: RunAnswer | None


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is. The counts are None in a list of runs; `to_embed` is 0 until its images are sharded."""

    run: str
    status: str
    started: str | None = None
    error: str = ""
    cause: str = ""
    to_embed: int | None = None
    embedded: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """Of `status`: the newest runs, the newest first, or the one that was asked for."""

    runs: tuple[RunState, ...]


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """Of `cancel`: the run that was stopped."""

    run: str
    status: str


@dataclass(frozen=True, slots=True)
class PlanAnswer(Plan):
    """Of `plan`: the plan, and what was left out of the count by its suffix."""

    ignored_by_suffix: dict[str, int]


@dataclass(frozen=True, slots=True)
class DoctorAnswer:
    """Of `doctor`: all that was found, and whether one of the findings stops a deployment."""

    stops: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DeployAnswer:
    """Of `deploy`: what was found before, and whether it was deployed; account and region are "" where it was not."""

    deployed: bool
    account: str
    region: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DestroyAnswer:
    """Of `destroy`: the stacks that are gone, and where."""

    account: str
    region: str
    deleted_stacks: tuple[str, ...]
    data_kept: bool


@dataclass(frozen=True, slots=True)
class WeightsAnswer:
    """Of `weights`: the model directory, what is in it, and how many numbers its vectors have."""

    directory: str
    dimensions: int
    model: ModelCard


@dataclass(frozen=True, slots=True)
class CalibrateAnswer:
    """Of `calibrate`: the model directory, and how close int8 comes to float32 on the photos."""

    directory: str
    architecture: str
    photos: int
    layers: int
    cosine: float
    same_neighbour: float


@dataclass(frozen=True, slots=True)
class InventoryAnswer:
    """Of `inventory`: the S3 URI to give as a run's manifest."""

    manifest: str


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """Of `view`, as soon as it serves: where, how many photos, and how many failed images beside them."""

    address: str
    photos: int
    failures: int


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """Of `audit`, its last line: what was looked at, and how many findings of each kind."""

    rows: int
    images: int
    matched: int
    sampled: int
    read_units: float
    ignored_by_suffix: dict[str, int]
    findings: dict[str, int]
    vectors: int = 0
