"""One run from photos on disk to results on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.progress import Progress as ProgressLine

from stepvec import codec
from stepvec.cli.console import errors
from stepvec.cli.deployment import Deployment, Progress, RunOfDeployment, read_rows
from stepvec.cli.gallery import write_gallery
from stepvec.cli.photos import PREFIX, upload_photos
from stepvec.cli.results import write_vectors
from stepvec.cli.run_view import print_end, progress_line, progress_note
from stepvec.outcome import ImageFailure
from stepvec.records.reports import RunReport


def run_once(deployment: Deployment, photos: dict[str, Path], options: dict[str, Any], out: Path, *, name: str) -> bool:
    """Upload `photos` (key to file), run the state machine on them, write the results to `out`.

    Returns whether the run was complete. Shows a line of progress, and the counts at the end.
    """
    run = RunOfDeployment(deployment, name)
    with progress_line() as line:
        upload = line.add_task("uploading", total=len(photos), note="")
        upload_photos(deployment.client("s3"), deployment.image_bucket, photos, lambda: line.advance(upload))
        run.start({"Paths": [PREFIX], **options})
        embed = line.add_task("embedding", total=len(photos), note="listing")
        start = time.perf_counter()
        ended = run.wait(lambda progress: _show(line, embed, progress, len(photos), time.perf_counter() - start))
        if ended.report is not None:
            last = Progress(len(photos), ended.report.embedded + ended.report.unchanged, failed=ended.report.failed)
            line.update(embed, completed=last.embedded + last.failed, note=progress_note(len(photos), last))
    print_end(ended)
    if ended.report is None:
        return False
    _write_results(run, deployment, photos, ended.report, out)
    return ended.status == "SUCCEEDED"


def _show(line: ProgressLine, task: Any, progress: Progress, listed: int, seconds: float) -> None:
    note = progress_note(listed, progress, seconds) if progress.to_embed else "listing"
    line.update(task, completed=progress.embedded + progress.failed, note=note)


def _write_results(
    run: RunOfDeployment, deployment: Deployment, photos: dict[str, Path], report: RunReport, out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_bytes(run.report_text())
    failures = run.failures()
    (out / "failures.jsonl").write_bytes(failures)
    keys, vectors = write_vectors(out / "vectors.parquet", read_rows(deployment, list(photos)))
    write_gallery(
        out / "gallery.html",
        photos=photos,
        keys=keys,
        vectors=vectors,
        report=report,
        failures=[
            codec.from_json(ImageFailure, text, where="failures.jsonl") for text in failures.splitlines() if text
        ],
    )
    errors.print("Look at:", highlight=False)
    for name, what in (
        ("gallery.html", "each photo with its nearest neighbours: open it in a browser"),
        ("report.json", "the run's counts, times and cost"),
        ("failures.jsonl", "each photo that failed, and why"),
        ("vectors.parquet", "the vectors: pandas.read_parquet reads them"),
    ):
        if (out / name).exists():
            errors.print(f"  {out / name}  [dim]{what}[/]", highlight=False, soft_wrap=True)
