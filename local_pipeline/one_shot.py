"""One run from photos on disk to results on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from local_pipeline.gallery import write_gallery
from local_pipeline.likeness import Likeness, likeness
from local_pipeline.photos import PREFIX, upload_photos
from stepvec import codec
from stepvec.client.deployment import Deployment
from stepvec.client.parquet import write_vectors
from stepvec.client.rows import read_rows
from stepvec.client.runs import Run, RunEnd, RunProgress
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport


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


def run_once(
    deployment: Deployment, photos: dict[str, Path], options: dict[str, Any], out: Path, *, name: str, watcher: Watcher
) -> RunEnd:
    """Upload `photos` (key to file), run the state machine on them, write the results to `out` if there is a report.

    `options` are fields of the execution's input, `name` is the execution's name. Returns how the run ended.
    """
    run = Run(deployment, name)
    upload_photos(deployment.client("s3"), deployment.image_bucket, photos, watcher.on_upload)
    run.start({"Paths": [PREFIX], **options})
    ended = run.wait(watcher.on_progress)
    if ended.report is not None:
        watcher.on_report(ended.report)
        watcher.on_results(*_write_results(run, deployment, photos, ended.report, out))
    return ended


def _write_results(
    run: Run, deployment: Deployment, photos: dict[str, Path], report: RunReport, out: Path
) -> tuple[Likeness, list[ImageFailure]]:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_bytes(run.report_text())
    failure_lines = run.failures()
    (out / "failures.jsonl").write_bytes(failure_lines)
    failures = [
        codec.from_json(ImageFailure, text, where="failures.jsonl") for text in failure_lines.splitlines() if text
    ]
    keys, vectors = write_vectors(out / "vectors.parquet", read_rows(deployment, list(photos)))
    write_gallery(out / "gallery.html", photos=photos, keys=keys, vectors=vectors, report=report, failures=failures)
    return likeness(keys, vectors), failures
