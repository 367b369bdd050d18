"""The page of a deployment: the rows of its table, the failures of a run, pictures from its bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from stepvec.adapters.executions import RUNNING
from stepvec.client.deployment import Deployment
from stepvec.client.originals import Originals
from stepvec.client.pictures import from_bucket
from stepvec.client.runs import Run, list_runs
from stepvec.client.scope import Scope
from stepvec.client.thumbnails import Thumbnails
from stepvec.client.vectors import Vectors
from stepvec.errors import InvalidInputError
from stepvec.export.selection import Selection
from stepvec.neighbours.index import Index
from stepvec.neighbours.segment import batch_of
from stepvec.page.album import Album
from stepvec.page.content import Content, Failures, picture_keys, shown_failures
from stepvec.page.rendering import Frame, render
from stepvec.page.server import ServedPage
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport

MOST_PHOTOS: Final = 50_000
"""Photos that a page of a deployment shows: their vectors are half a gigabyte at most while they are read."""
_NEWEST_RUNS: Final = 20
"""Among which one with a report is looked for."""


def read_rows(
    deployment: Deployment, scope: Scope, report: Callable[[str], None], left_out: Counter[str]
) -> list[pa.RecordBatch]:
    """The rows of the deployed model whose keys are in `scope`; those of other models are counted in `left_out`.

    Raises InvalidInputError where there are none, or more than MOST_PHOTOS.
    """
    selection = Selection(deployment.model, is_named=True, prefixes=scope.filtered_prefixes, keys=scope.keys)
    vectors = Vectors(deployment, selection, segments=None, after="")
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in vectors.record_batches():
        batches.append(batch)
        rows += len(batch)
        report(f"Read {rows:,} rows")
        _check_count(rows)
    left_out.update(vectors.left_out)
    if not rows:
        raise InvalidInputError(
            f"The table {deployment.table} has no vectors of {deployment.model} there.",
            remedy="Embed images first, such as: stepvec run images --wait",
        )
    return batches


def read_indexed(folder: Path, deployment: Deployment, scope: Scope) -> list[pa.RecordBatch]:
    """As read_rows, from the index of an export in `folder` and without reading the table.

    Raises InvalidInputError also where its vectors are of another model than the deployment's.
    """
    index = Index.open(folder)
    if index.model != deployment.model:
        raise InvalidInputError(
            f"The vectors in {folder} are of {index.model}, and the deployment embeds with {deployment.model}.",
            remedy="Export again and bring the index up to date: stepvec export, stepvec index.",
        )
    batches: list[pa.RecordBatch] = []
    for numbers, vectors in index.vector_batches():
        rows = [(index.row(number), vector) for number, vector in zip(numbers.tolist(), vectors, strict=True)]
        held = [(row, vector) for row, vector in rows if scope.holds(row.key)]
        if held:
            batches.append(batch_of([row for row, _ in held], np.stack([vector for _, vector in held])))
        _check_count(sum(map(len, batches)))
    if not batches:
        raise InvalidInputError(
            f"The index of {folder} has no images there.", remedy="Give other paths, or none for all of them."
        )
    return batches


def _check_count(rows: int) -> None:
    if rows > MOST_PHOTOS:
        raise InvalidInputError(
            f"There are more than {MOST_PHOTOS:,} photos, which is what a page shows.",
            remedy="Name a prefix with fewer, such as: stepvec view images/2026",
        )


def read_failures(deployment: Deployment, scope: Scope, name: str | None) -> Failures:
    """The failed images of a run, or of the newest that has a report. Raises InvalidInputError for an unknown run."""
    found_run = _reported(Run(deployment, name)) if name is not None else _newest_reported(deployment)
    if found_run is None:
        return shown_failures("No run has ended with a report yet.", ())
    run, report = found_run
    failures = _failures_within(run.failure_records() if _has_failures(report) else (), scope)
    found = shown_failures(f"Failed in the run {run.name}, which ended {report.finished}.", failures)
    if not found.failures:
        return shown_failures(f"Nothing failed in the run {run.name}, which ended {report.finished}.", ())
    return found


def page_of(
    album: Album, failures: Failures, thumbnails: Thumbnails, deployment: Deployment, left_out: Counter[str]
) -> ServedPage:
    """The page as it is served."""
    said = f"Table {deployment.table}, bucket {deployment.image_bucket}. Model {album.model}."
    if left_out:
        said += f" Rows of other models are not shown: {sum(left_out.values()):,}."
    frame = Frame(f"{len(album):,} photos", said, ())
    content = Content(
        title=frame.title,
        keys=album.keys,
        points=album.points(),
        failures=failures,
        pictures="pictures/",
        originals=True,
    )
    document, policy = render(frame, content, pictures_from="'self' data:")
    pictures = BucketPictures(deployment, picture_keys(album, failures), thumbnails)
    return ServedPage(document.encode(), policy, album, pictures)


class BucketPictures:
    """Pictures of the objects with these keys, by their places among them (server.Pictures)."""

    def __init__(self, deployment: Deployment, keys: Sequence[str], thumbnails: Thumbnails) -> None:
        self._keys = keys
        self._read = from_bucket(deployment.client, deployment.image_bucket)
        self._originals = Originals(deployment.image_bucket)
        self._thumbnails = thumbnails

    def thumbnail(self, number: int) -> bytes | None:
        """A small picture of an object; None where it is gone, refused, or nothing of it can be seen."""
        data = self._read(self._keys[number])
        return self._thumbnails.make(data) if data else None

    def original(self, number: int) -> str:
        """The presigned URL of the object itself."""
        return self._originals.address(self._keys[number])


def _reported(run: Run) -> tuple[Run, RunReport]:
    return run, run.report()


def _newest_reported(deployment: Deployment) -> tuple[Run, RunReport] | None:
    for name, status, _ in list_runs(deployment, _NEWEST_RUNS):
        if status != RUNNING:
            with suppress(InvalidInputError):  # it ended without a report
                return _reported(Run(deployment, name))
    return None


def _has_failures(report: RunReport) -> bool:
    return report.failed + report.failed_before > 0


def _failures_within(failures: Iterable[ImageFailure], scope: Scope) -> Iterable[ImageFailure]:
    return (failure for failure in failures if scope.holds(failure.key))
