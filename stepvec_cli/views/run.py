"""How a run looks in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stepvec.adapters.executions import SUCCEEDED
from stepvec.client.runs import RunEnd, RunProgress
from stepvec.client.session import translate_aws_errors
from stepvec.errors import OutputError
from stepvec.runs.reports import RunReport
from stepvec_cli.console import errors, tell
from stepvec_cli.endings import Ended
from stepvec_cli.exit_codes import FAILED
from stepvec_cli.progress import Bars
from stepvec_cli.views.plan import ignored_lines

if TYPE_CHECKING:
    # It imports numpy, which no view needs.
    from local_pipeline.likeness import Likeness
    from stepvec.runs.outcome import ImageFailure

SHARDS_SHOWN: Final = 5
"""Incomplete shards that are printed; the report has more."""
FAILURES_SHOWN: Final = 5
"""Failed images that are printed; failures.jsonl has all of them."""
UNIFORM_SHOWN: Final = 5
"""Images of one colour that are named; the report has more."""


def progress_note(listed: int, progress: RunProgress, seconds: float | None = None) -> str:
    """How far a run is, in one line; with the `seconds` so far, also its rate and what is left."""
    note = f"listed {listed}, embedded {progress.embedded}, failed {progress.failed}"
    done = progress.embedded + progress.failed
    if done and seconds and done >= progress.to_embed:
        note += ", verifying"
    elif done and seconds:
        rate = done / seconds
        note += f", {rate:.1f} images/s, {(progress.to_embed - done) / rate:.0f} s left"
    return note


class RunLine:
    """How many photos are uploaded and embedded, for as long as its block lasts. A Watcher of a one-shot run."""

    def __init__(self, photos: int) -> None:
        self._photos = photos
        self._bars = Bars()
        self._uploaded = 0
        self._started: float | None = None
        self.results: tuple[Likeness, list[ImageFailure]] | None = None
        self.fallback: tuple[OutputError, Path] | None = None

    def __enter__(self) -> Self:
        self._bars.__enter__()
        self._bars("uploading", 0, self._photos)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.__exit__(kind, error, at)

    def on_upload(self) -> None:
        """One more photo was uploaded."""
        self._uploaded += 1
        self._bars("uploading", self._uploaded, self._photos, last=self._uploaded == self._photos)

    def on_progress(self, progress: RunProgress) -> None:
        """The run has come this far; its rate counts from the first call."""
        self._started = self._started or time.perf_counter()
        seconds = time.perf_counter() - self._started
        note = progress_note(self._photos, progress, seconds) if progress.to_embed else "listing"
        self._bars("embedding", progress.embedded + progress.failed, self._photos, note)

    def on_report(self, report: RunReport) -> None:
        """The run has ended with this report."""
        last = RunProgress(self._photos, report.embedded + report.unchanged, failed=report.failed)
        done = last.embedded + last.failed
        self._bars("embedding", done, self._photos, progress_note(self._photos, last), last=True)

    def on_fallback(self, refusal: OutputError, place: Path) -> None:
        """The results are all in `place`, since the folder that was asked for refused them."""
        self.fallback = (refusal, place)

    def on_results(self, found: Likeness, failures: list[ImageFailure]) -> None:
        """What the vectors show, and what failed: kept until the run's end has been told."""
        self.results = (found, failures)


class Followed(Protocol):
    """A run that can be waited for, whatever asks how it is."""

    name: str

    def wait(self, on_progress: Callable[[RunProgress], None]) -> RunEnd:
        """How it ended, once it has; reports its progress on the way."""


@contextmanager
def watched(run: Followed) -> Iterator[None]:
    """A block that starts `run`, or waits for it: who ends the command meanwhile is told that the run goes on."""
    try:
        yield
    except Ended:
        name = escape(run.name)
        errors.print(f"[yellow]No longer watched:[/] the run {name} goes on.", highlight=False, soft_wrap=True)
        errors.print(f"  Look at it: stepvec status {name}", highlight=False, soft_wrap=True)
        errors.print(f"  Stop it:    stepvec cancel {name}", highlight=False, soft_wrap=True)
        raise


def wait_for(run: Followed) -> RunEnd:
    """Show the progress of `run` until it ends, and how it ended."""
    with Bars() as bars:
        start = time.perf_counter()
        bars("embedding", 0, None, "listing")

        def show(progress: RunProgress) -> None:
            if progress.to_embed:
                note = progress_note(progress.to_embed, progress, time.perf_counter() - start)
                bars("embedding", progress.embedded + progress.failed, progress.to_embed, note)

        with translate_aws_errors():
            ended = run.wait(show)
        if (report := ended.report) is not None:
            # Where all was there already, nothing was to be embedded, and the bar would stay at "listing".
            done = report.embedded + report.unchanged + report.failed + report.failed_before
            counts = f"{report.embedded} embedded, {report.unchanged} unchanged, {report.failed} failed"
            bars("embedding", done, report.listed, counts, last=True)
    print_end(ended)
    return ended


def exit_as(ended: RunEnd) -> None:
    """Raises typer.Exit where the run did not succeed."""
    if ended.status != SUCCEEDED:
        raise typer.Exit(FAILED)


def print_end(ended: RunEnd, console: Console = errors) -> None:
    """How a run ended: its status, its error if it failed, its counts. Told with --quiet too where it failed."""
    if ended.status != SUCCEEDED:
        console.quiet = False
    colour = "green" if ended.status == SUCCEEDED else "red"
    console.print(f"[bold {colour}]{ended.status}[/] execution {escape(ended.run)}", highlight=False)
    if ended.status != SUCCEEDED:
        console.print(f"{escape(ended.error)}: {escape(ended.cause)}", highlight=False)
    if ended.report is not None:
        print_report(ended.report, console)


def print_report(report: RunReport, console: Console = errors) -> None:
    """A run's counts and model."""
    table = Table(box=None, pad_edge=False)
    for column in ("listed", "embedded", "unchanged", "failed", "missing", "found", "images/s", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    counts = (report.listed, report.embedded, report.unchanged, report.failed, report.missing, report.found)
    table.add_row(*map(str, counts), f"{report.images_per_second:.1f}", f"{report.seconds:.1f}")
    console.print(table)
    for line in ignored_lines(report.ignored_by_suffix):
        tell(line, console)
    if report.uniform:
        named = list(map(ascii, report.uniform_sample[:UNIFORM_SHOWN]))
        named += ["..."] if report.uniform > len(named) else []
        line = f"Uniform: {report.uniform:,} embedded images have one colour, and say nothing: {', '.join(named)}"
        tell(line, console)
    if report.indexed is not None:
        zeros = f"; {report.not_indexable:,} vectors of zeros are not taken" if report.not_indexable else ""
        console.print(f"Indexed in S3 Vectors: {report.indexed:,}{zeros}", highlight=False)
    console.print(f"Model {report.model}, {report.vector_type}", highlight=False)
    for shard in report.incomplete_shards[:SHARDS_SHOWN]:
        console.print(
            f"Shard {shard.shard}: {shard.missing} of {shard.images} images missing. {escape(shard.error)}",
            highlight=False,
            soft_wrap=True,
        )
        for page, link in (("execution", shard.execution), ("log", shard.log)):
            if link:
                console.print(f"  {page}: {escape(link)}", highlight=False, soft_wrap=True)
    if len(report.incomplete_shards) > SHARDS_SHOWN:
        console.print("More shards are in the report: stepvec report RUN --json, incomplete_shards.", highlight=False)


def print_failures(failures: list[ImageFailure]) -> None:
    """The first images that failed, each with its reason."""
    for failure in failures[:FAILURES_SHOWN]:
        told = f"{_in_folder(failure.key)}: {failure.reason.value}. {failure.message}"
        errors.print(f"[yellow]failed[/] {escape(told)}", highlight=False, soft_wrap=True)
    if len(failures) > FAILURES_SHOWN:
        errors.print(f"... and {len(failures) - FAILURES_SHOWN:,} more, in failures.jsonl.", highlight=False)


def print_likeness(found: Likeness) -> None:
    """The closest pairs of photos, and whether what is nearest lies together."""
    if found.pairs:
        table = Table(box=None, pad_edge=False)
        table.add_column("most alike", overflow="fold")
        table.add_column("", overflow="fold")
        table.add_column("cosine", justify="right", no_wrap=True)
        for pair in found.pairs:
            table.add_row(escape(_in_folder(pair.first)), escape(_in_folder(pair.second)), f"{pair.cosine:.2f}")
        errors.print(table)
    if found.compared:
        errors.print(
            f"[bold]{found.in_same_folder} of {found.compared}[/] photos have their nearest one in the same folder; "
            f"by chance it would be {found.by_chance:.0f}.",
            highlight=False,
            soft_wrap=True,
        )


def _in_folder(key: str) -> str:
    """A photo's key, as far as a person knows it: without the prefix under which local runs upload."""
    return key.partition("/")[2] or key


RESULTS: Final = {
    "gallery.html": "all photos, and what each is like: open it in a browser",
    "report.json": "the run's counts, times and cost",
    "failures.jsonl": "each photo that failed, and why",
    "vectors.parquet": "the vectors: pandas.read_parquet reads them",
}
"""Files of a one-shot run, and what they are for."""


def result_files(out: Path) -> list[Path]:
    """Those of `RESULTS` that are in `out`."""
    return [out / name for name in RESULTS if (out / name).exists()]


def print_results(out: Path) -> None:
    """The files of a one-shot run in `out`, and what they are for."""
    errors.print("Look at:", highlight=False)
    for file in result_files(out):
        errors.print(f"  {escape(str(file))}  [dim]{RESULTS[file.name]}[/]", highlight=False, soft_wrap=True)
