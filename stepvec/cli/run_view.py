"""How a run looks in a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressLine
from rich.table import Table

from stepvec.cli.console import errors
from stepvec.cli.deployment import Ended, Progress
from stepvec.records.reports import RunReport


def progress_line() -> ProgressLine:
    """The line that shows work under way: what, a bar, how many of how many, and the task's field `note`."""
    return ProgressLine(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        console=errors,
    )


def progress_note(listed: int, progress: Progress, seconds: float | None = None) -> str:
    """How far a run is, in a line; with the `seconds` that it took so far also its rate and the time left."""
    note = f"listed {listed}, embedded {progress.embedded}, failed {progress.failed}"
    done = progress.embedded + progress.failed
    if done and seconds:
        rate = done / seconds
        note += f", {rate:.1f} images/s, {max(0, progress.to_embed - done) / rate:.0f} s left"
    return note


def print_end(ended: Ended) -> None:
    """How a run ended: its status, its error if it failed, its counts."""
    colour = "green" if ended.status == "SUCCEEDED" else "red"
    errors.print(f"[bold {colour}]{ended.status}[/] execution {escape(ended.run)}", highlight=False)
    if ended.status != "SUCCEEDED":
        errors.print(f"{escape(ended.error)}: {escape(ended.cause)}", highlight=False)
    if ended.report is not None:
        print_report(ended.report)


def print_report(report: RunReport) -> None:
    """A run's counts and model."""
    table = Table(box=None, pad_edge=False)
    for column in ("listed", "embedded", "unchanged", "failed", "missing", "found", "images/s", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    counts = (report.listed, report.embedded, report.unchanged, report.failed, report.missing, report.found)
    table.add_row(*map(str, counts), f"{report.images_per_second:.1f}", f"{report.seconds:.1f}")
    errors.print(table)
    errors.print(f"Model {report.model}, {report.vector_type}", highlight=False)
