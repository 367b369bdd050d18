"""The gallery of a one-shot run: the page (stepvec/page) of its photos, in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from local_pipeline.pictures import bytes_of
from stepvec.export.columns import record_batch, row_schema
from stepvec.neighbours.temporary import temporary_index
from stepvec.page.album import Album
from stepvec.page.content import Failures, shown_failures
from stepvec.page.rendering import Frame
from stepvec.page.writing import write_page
from stepvec.rows.item import VectorItem, encode_item
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport

MAX_PHOTOS: Final = 20_000
"""Most photos that a gallery shows: to compare them all takes some 50 s of CPU time, which grows with their square."""
_COUNTS: Final = ("listed", "embedded", "unchanged", "failed", "missing", "ignored", "shards")


def write_gallery(
    path: Path,
    *,
    photos: Mapping[str, Path],
    rows: Sequence[VectorItem],
    report: RunReport,
    failures: Sequence[ImageFailure],
) -> None:
    """Write the gallery of the run's `rows`; `photos` says where each key's file is."""
    shown = sorted(rows, key=lambda row: row.key)[:MAX_PHOTOS]
    batches = [record_batch([encode_item(row) for row in shown], row_schema(shown[0].dimension))] if shown else []
    with temporary_index(batches, report.model) as index:
        write_page(
            path,
            _frame(report, hidden=len(rows) - len(shown)),
            Album(index),
            _failures(failures),
            lambda key: bytes_of(photos[key]) if key in photos else None,
        )


def _frame(report: RunReport, *, hidden: int) -> Frame:
    embedded = report.embedded + report.unchanged
    said = f"{'Complete' if report.complete else 'Incomplete'}: {report.message} Model {report.model}."
    if hidden:
        said += f" {hidden:,} more photos are in vectors.parquet; this page shows {MAX_PHOTOS:,}."
    counts = [(name, f"{getattr(report, name):,}") for name in _COUNTS]
    return Frame(
        f"{embedded:,} photos, {report.found:,} vectors found in DynamoDB",
        said,
        [*counts, ("from start to report", f"{report.seconds:.1f} s")],
    )


def _failures(failures: Sequence[ImageFailure]) -> Failures:
    said = "Photos that have no vector, and why." if failures else "No photo failed."
    return shown_failures(said, failures)
