"""`stepvec export`: an export of a deployed table, from what a user asks for to what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from importlib.metadata import version
from pathlib import Path
from typing import Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.client.runs import LOCAL_POLL_SECONDS, Run, list_runs
from stepvec.client.scope import EVERYTHING, Scope
from stepvec.errors import InvalidInputError, StepvecError
from stepvec.export.bucket_target import BucketTarget
from stepvec.export.columns import Numbers
from stepvec.export.conversions import check_form, conversion, single_file
from stepvec.export.exporter import Exporter, Finish
from stepvec.export.format import ExportManifest, ExportOrigin, Form, Since
from stepvec.export.lanes import FILE_BYTES
from stepvec.export.point_in_time import POLL_SECONDS, PointInTimeSource, start_point_in_time
from stepvec.export.selection import Selection
from stepvec.export.sources import ScanSource, Source
from stepvec.export.targets import FileTarget, FolderTarget, Target
from stepvec.runs.layout import S3Uri
from stepvec.runs.reports import RunReport
from stepvec.runs.run_input import prefixes_of

_COMPARED_RUNS: Final = 10
"""Newest runs that are looked at for one over the same paths."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export. `out` is a folder, a file *.parquet, or s3://BUCKET/PREFIX.

    model: None for the deployed one, and for an error where there are others. since: a run's name. source: the folder
    of an export that DynamoDB made to S3. start: the prefix to have it make one under. With neither, the table is read.
    file_bytes: of vectors in one file.
    """

    out: str
    scope: Scope = EVERYTHING
    model: str | None = None
    since: str | None = None
    source: S3Uri | None = None
    start: S3Uri | None = None
    form: Form = "parquet"
    numbers: Numbers = "float32"
    file_bytes: int = FILE_BYTES
    replace: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a run's report says of the same rows: `expected` rows by `run`, of which the export has `found`."""

    run: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """What `--json` gives: where the export is, its manifest, and what a run's report says of the same rows."""

    out: str
    manifest: ExportManifest
    report: Comparison | None


def export_table(
    deployment: Deployment,
    options: ExportOptions,
    *,
    tell: Callable[[str], None] = lambda _: None,
    on_rows: Callable[[int], None] = lambda _: None,
) -> ExportManifest:
    """Export, and return the manifest of what is there then.

    `tell` is told what a user wants to know meanwhile; `on_rows` how many rows are written, as they are. Raises what
    Exporter raises, and InvalidInputError for options that do not fit.
    """
    if options.source and options.start:
        raise InvalidInputError("Both --from-export and --start-export are given.", remedy="Give one of them.")
    check_form(options.form)
    target, finish = _target(deployment, options)
    target.check(replace=options.replace)
    if options.restart:
        target.discard()
    selection = Selection(
        model=options.model or deployment.model,
        is_named=options.model is not None,
        prefixes=options.scope.filtered_prefixes,
        keys=options.scope.keys,
        since=_since(deployment, options.since) if options.since else None,
    )
    exporter = Exporter(
        _source(deployment, options, selection, tell),
        selection,
        target,
        version=version("stepvec"),
        numbers=options.numbers,
        file_bytes=options.file_bytes,
        on_rows=on_rows,
    )
    if begun := exporter.resumed():
        tell(f"Going on with an export that broke off: {sum(file.rows for file in begun.files):,} rows are there.")
    return exporter.run(finish)


def compare_with_report(deployment: Deployment, manifest: ExportManifest) -> Comparison | None:
    """The export beside a run's report; None where none of the newest runs has one that says something of it.

    Of an increment that is the run it began with, else the newest over the same paths (by the rows that it found), else
    the newest over paths within these (by the rows that it wrote). Rows that were written over or deleted since make a
    difference that is none of the export's.
    """
    if manifest.since:
        report = _report(deployment, manifest.since.run)
        return _of_run(report, manifest) if report and report.model == manifest.model else None
    within: Comparison | None = None
    for name, _, _ in list_runs(deployment, _COMPARED_RUNS):
        report = _report(deployment, name)
        prefixes = _prefixes(report) if report and report.model == manifest.model else None
        if report is None or prefixes is None:
            continue
        if prefixes == (manifest.prefixes or ("",)):
            return Comparison(name, report.found, manifest.rows)
        if within is None and report.embedded and all(one.startswith(manifest.prefixes or "") for one in prefixes):
            within = _of_run(report, manifest)
    return within


def _of_run(report: RunReport, manifest: ExportManifest) -> Comparison:
    return Comparison(report.run, report.embedded, manifest.runs.get(report.run, 0))


def _target(deployment: Deployment, options: ExportOptions) -> tuple[Target, Finish | None]:
    finish = conversion(options.form)
    if "://" in options.out:
        if options.form != "parquet" or options.out.endswith(".parquet"):
            what = f"An export as {options.form}" if options.form != "parquet" else "A single file"
            raise InvalidInputError(
                f"{what} is written to this machine only, not to {options.out}.",
                remedy="Give a folder, and copy it (aws s3 cp --recursive), or export Parquet to a prefix.",
            )
        return BucketTarget(ObjectStore(deployment.client("s3")), S3Uri.parse(options.out)), finish
    out = Path(options.out)
    if options.form == "parquet" and out.suffix == ".parquet":
        return FileTarget(out), single_file(out.name)
    return FolderTarget(out), finish


def _source(
    deployment: Deployment, options: ExportOptions, selection: Selection, tell: Callable[[str], None]
) -> Source:
    client, source = deployment.client("dynamodb"), options.source
    if options.start:
        tell("DynamoDB exports the table: that takes some minutes at least.")
        seconds = LOCAL_POLL_SECONDS if deployment.is_local else POLL_SECONDS
        source = start_point_in_time(client, deployment.table, options.start, poll_seconds=seconds)
        tell(f"It is in {source}: --from-export reads it again.")
    if source:
        return PointInTimeSource(ObjectStore(deployment.client("s3")), source, selection, deployment.image_bucket)
    origin = ExportOrigin(deployment.table, client.meta.region_name, deployment.image_bucket)
    return ScanSource(client, origin, selection)


def _since(deployment: Deployment, name: str) -> Since:
    """When the run began, as the rows' Created has it. Raises InvalidInputError where there is no such run."""
    client = deployment.client("stepfunctions")
    try:
        execution = client.describe_execution(executionArn=Run(deployment, name).arn)
    except (client.exceptions.ExecutionDoesNotExist, client.exceptions.InvalidArn) as error:
        raise InvalidInputError(
            f"There is no run {name!r}: AWS forgets one 90 days after its end.",
            remedy="See `stepvec status`, or export the whole table.",
        ) from error
    return Since(name, execution["startDate"].astimezone(UTC).isoformat(timespec="milliseconds"))


def _report(deployment: Deployment, name: str) -> RunReport | None:
    try:
        return Run(deployment, name).report()
    except StepvecError:
        # Still going, ended without one, or its files have expired: nothing to compare with.
        return None


def _prefixes(report: RunReport) -> tuple[str, ...] | None:
    """The prefixes of the run, ("",) for the whole bucket; None for a run by manifest."""
    paths = report.input.get("Paths")
    return prefixes_of(list(paths), report.image_bucket) if paths else None
