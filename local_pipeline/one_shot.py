"""One run from photos on disk to results on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from local_pipeline.gallery import MAX_PHOTOS, write_gallery
from local_pipeline.installation import MODEL_DIRECTORY
from local_pipeline.likeness import Likeness, likeness
from local_pipeline.photos import PREFIX, upload_photos
from stepvec import codec
from stepvec.adapters.outputs import Need, check_folder, fallback_folder, written
from stepvec.client.deployment import Deployment
from stepvec.client.parquet import write_vectors
from stepvec.client.rows import read_rows
from stepvec.client.runs import Run, RunEnd, RunProgress
from stepvec.errors import OutputError, WeightsError
from stepvec.rows.model import DIMENSIONS
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport
from stepvec.weights.model_directory import read_model_card

REPORT: Final = "report.json"
FAILURES: Final = "failures.jsonl"
VECTORS: Final = "vectors.parquet"
GALLERY: Final = "gallery.html"
RESULTS: Final = (REPORT, FAILURES, VECTORS, GALLERY)
"""The files of a run's results."""
_ROW_BYTES: Final = 400
"""A row of vectors.parquet beside its numbers, at most: its key, what else it says."""
_GALLERY_BYTES: Final = 9_000
"""A photo in the gallery, some more than the usual 7 KB."""
_REST_BYTES: Final = 140_000
"""The report, the gallery's frame and script."""


class Watcher(Protocol):
    """Who is told of the progress of a run."""

    def on_upload(self) -> None:
        """One more photo was uploaded."""

    def on_progress(self, progress: RunProgress) -> None:
        """The run has come this far."""

    def on_report(self, report: RunReport) -> None:
        """The run has ended with this report."""

    def on_results(self, found: Likeness, failures: list[ImageFailure]) -> None:
        """The results are written: this is what the vectors show, and what failed."""

    def on_fallback(self, refusal: OutputError, place: Path) -> None:
        """The folder that was asked for did not take the results: they are all in `place`."""


def check_out(out: Path, photos: int) -> None:
    """Raises OutputError where the results of so many photos could not be written to the folder `out`."""
    check_folder(out, RESULTS, _need(photos))


def _need(photos: int) -> Need:
    count = photos * (4 * _numbers() + _ROW_BYTES) + min(photos, MAX_PHOTOS) * _GALLERY_BYTES + _REST_BYTES
    return Need(count, f"the results of {photos:,} photo{'' if photos == 1 else 's'}")


def _numbers() -> int:
    """In a vector of the model that a run here embeds with."""
    try:
        return read_model_card(MODEL_DIRECTORY).dimension
    except WeightsError:
        return max(DIMENSIONS.values())  # the run itself says that there is no model


def run_once(
    deployment: Deployment, photos: dict[str, Path], options: dict[str, Any], out: Path, *, name: str, watcher: Watcher
) -> RunEnd:
    """Upload `photos` (key to file), run the state machine on them, write the results to `out` if there is a report.

    `options` are fields of the execution's input, `name` is the execution's name. Returns how the run ended. Where
    `out` does not take the results any more, they go to another folder, of which the watcher is told.
    """
    run = Run(deployment, name)
    upload_photos(deployment.client("s3"), deployment.image_bucket, photos, watcher.on_upload)
    run.start({"Paths": [PREFIX], **options})
    ended = run.wait(watcher.on_progress)
    if ended.report is not None:
        watcher.on_report(ended.report)
        try:
            results = _write_results(run, deployment, photos, ended.report, out)
        except OutputError as refusal:
            place = fallback_folder(_need(len(photos)))
            results = _write_results(run, deployment, photos, ended.report, place)
            watcher.on_fallback(refusal, place)
        watcher.on_results(*results)
    return ended


def _write_results(
    run: Run, deployment: Deployment, photos: dict[str, Path], report: RunReport, out: Path
) -> tuple[Likeness, list[ImageFailure]]:
    with written(out / REPORT) as file:
        file.write_bytes(run.report_text())
    failure_lines = run.failures()
    with written(out / FAILURES) as file:
        file.write_bytes(failure_lines)
    failures = [codec.from_json(ImageFailure, text, where=FAILURES) for text in failure_lines.splitlines() if text]
    rows = list(read_rows(deployment, list(photos)))
    with written(out / VECTORS) as file:
        keys, vectors = write_vectors(file, rows)
    if not rows:
        (out / VECTORS).unlink()  # an empty file is no Parquet, and an earlier run's vectors are not this one's
    with written(out / GALLERY) as file:
        write_gallery(file, photos=photos, rows=rows, report=report, failures=failures)
    return likeness(keys, vectors), failures
