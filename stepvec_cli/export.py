"""`stepvec export`: writes the vectors of a deployed table to files."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepvec.client.deployment import find_deployment
from stepvec.client.scope import EVERYTHING, scope_of
from stepvec.client.session import translate_aws_errors
from stepvec.errors import OutputError
from stepvec.runs.layout import S3Uri
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import print_json
from stepvec_cli.console import errors, tell
from stepvec_cli.options import AsJson, DataStack, PipelineStack

if TYPE_CHECKING:
    from stepvec.client.exporting import Comparison
    from stepvec.export.format import ExportManifest

PROGRESS_SECONDS: Final = 5.0
MEGABYTE: Final = 1024 * 1024
LIKE_FILES: Final = frozenset(
    {
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".jsonl",
        ".npy",
        ".npz",
        ".arrow",
        ".feather",
        ".orc",
        ".xlsx",
        ".gz",
        ".zst",
        ".h5",
        ".pt",
    }
)
"""Ends of names that someone gives who wants one file of that form."""
FOLDER_REMEDY: Final = "Name a folder with --out, and the form with --format: csv, jsonl, npy, lance or parquet."


class FormOption(StrEnum):
    """What files there are to be."""

    PARQUET = "parquet"
    NPY = "npy"
    LANCE = "lance"
    CSV = "csv"
    JSONL = "jsonl"


class NumbersOption(StrEnum):
    """What the numbers are to be."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def export(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATHS]...", help="Only keys under these prefixes, or these keys.")
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="WHERE", help="A new folder, a file *.parquet, or s3://BUCKET/PREFIX.")
    ] = "vectors",
    model: Annotated[
        str | None, typer.Option(help="Only rows of this model; if left out, the deployed one, and no others may be.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only rows written since this run began: an increment.")
    ] = None,
    form: Annotated[FormOption, typer.Option("--format", help="Parquet, or what is made of it.")] = FormOption.PARQUET,
    numbers: Annotated[NumbersOption, typer.Option(help="Type of the numbers.")] = NumbersOption.FLOAT32,
    file_mb: Annotated[int, typer.Option(min=1, max=4096, help="Vectors in one file, in MB.")] = 256,
    from_export: Annotated[
        str | None,
        typer.Option(metavar="S3_URI", help="Read the folder of DynamoDB's own export, not the table."),
    ] = None,
    start_export: Annotated[
        str | None,
        typer.Option(metavar="S3_URI", help="Have DynamoDB export the table to this prefix, and read that."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of a finished export.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again instead of going on.")] = False,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Write the table's vectors to Parquet files, or others.

    Reads the whole table: half a read unit for each 4 KB of it; --from-export and --start-export read none. One that
    broke off goes on when the same command is given again, and nothing is lost or doubled. Nothing counts before
    _manifest.json is there, which comes last. docs/export.md says what is in it.

    Examples:
      stepvec export --out vectors
      stepvec export photos/2026 --out vectors.parquet
      stepvec export --since my-run --out s3://my-bucket/increments/1
      stepvec export --format npy --numbers float16 --out matrix
    """
    # Imported here: pyarrow takes most of a second, and `--help` does not need it.
    from stepvec.client.exporting import ExportAnswer, ExportOptions, compare_with_report, export_table

    _check_name(out, form)
    deployment = find_deployment(data_stack, pipeline_stack)
    with translate_aws_errors():
        options = ExportOptions(
            out=out,
            scope=scope_of(deployment, paths) if paths else EVERYTHING,
            model=model,
            since=since,
            source=S3Uri.parse(from_export) if from_export else None,
            start=S3Uri.parse(start_export) if start_export else None,
            form=form.value,
            numbers=numbers.value,
            file_bytes=file_mb * MEGABYTE,
            replace=replace,
            restart=restart,
        )
        manifest = export_table(deployment, options, tell=tell, on_rows=_Progress().add)
        report = compare_with_report(deployment, manifest)
    _print_notes(manifest, report)
    if as_json:
        print_json(ExportAnswer(out, manifest, report))
    else:
        typer.echo(f"{manifest.rows:,} vectors of {manifest.model} in {out}")


def _check_name(out: str, form: FormOption) -> None:
    """Raises OutputError for a name that ends like a file which would not be written."""
    suffix = PurePath(out).suffix.lower()
    if suffix == ".parquet" and form is not FormOption.PARQUET:
        raise OutputError(f"{out} ends in .parquet, and --format is {form.value}.", remedy=FOLDER_REMEDY)
    if suffix in LIKE_FILES:
        raise OutputError(
            f"{out} ends in {suffix}, and an export is a folder of files, or one file *.parquet.", remedy=FOLDER_REMEDY
        )


class _Progress:
    """Says how many rows are written, every few seconds; lanes call it from their threads."""

    def __init__(self) -> None:
        self._rows = 0
        self._told = time.monotonic()

    def add(self, rows: int) -> None:
        """Some more rows are written."""
        self._rows += rows
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._told = time.monotonic()
            errors.print(f"{self._rows:,} rows written", highlight=False)


def _print_notes(manifest: ExportManifest, report: Comparison | None) -> None:
    if manifest.left_out:
        told = ", ".join(f"{rows:,} of {name or 'no model'}" for name, rows in manifest.left_out.items())
        tell(f"Left out: {told}.")
    if report is None:
        tell("None of the newest runs has a report over the same paths to compare with.")
    elif report.found == report.expected:
        tell(f"As many as the report of {report.run} says: {report.expected:,}.")
    else:
        tell(
            f"The report of {report.run} says {report.expected:,}, and {report.found:,} are here: later runs wrote, or "
            "somebody deleted. `stepvec audit` compares the table with the bucket."
        )
    units = f"{manifest.read_units:,.1f} read units, " if manifest.origin.kind == "scan" else ""
    size = sum(file.bytes for file in manifest.files) / MEGABYTE
    tell(f"{units}{len(manifest.files):,} files, {size:,.1f} MB")
