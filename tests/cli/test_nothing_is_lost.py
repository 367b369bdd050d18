"""What was done is there at the end: on a disk that fills up, and for a reader that stops."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from local_pipeline.likeness import Likeness
from local_pipeline.one_shot import RESULTS, run_once
from local_pipeline.photos import collect_photos
from stepvec.client.runs import RunProgress
from stepvec.errors import OutputError
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport
from tests.cli.disks import disk
from tests.cli.test_mistakes import STEPVEC
from tests.local.conftest import Pipeline, photo


class Watcher:
    """Remembers what it is told of a run."""

    def __init__(self) -> None:
        self.fallback: tuple[OutputError, Path] | None = None
        self.failures: list[ImageFailure] | None = None

    def on_upload(self) -> None:
        """One more photo."""

    def on_progress(self, progress: RunProgress) -> None:
        """So far."""

    def on_report(self, report: RunReport) -> None:
        """The end."""

    def on_results(self, found: Likeness, failures: list[ImageFailure]) -> None:
        self.failures = failures

    def on_fallback(self, refusal: OutputError, place: Path) -> None:
        self.fallback = (refusal, place)


def test_a_disk_that_fills_up_in_the_middle_of_a_local_run_loses_nothing(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "holiday").mkdir()
    for number in range(2):
        (tmp_path / "holiday" / f"{number}.jpg").write_bytes(photo(number + 50))
    monkeypatch.chdir(tmp_path)
    watcher, photos = Watcher(), collect_photos([tmp_path / "holiday"])
    with disk(tmp_path / "stick", kilobytes=64) as stick:
        (stick / "film.mov").write_bytes(bytes(56 * 1024))
        ended = run_once(pipeline.deployment, photos, {}, stick / "out", name="full-disk", watcher=watcher)
        kept = [path.name for path in stick.rglob("*") if path.is_file()]
    assert ended.report is not None
    assert watcher.fallback is not None
    refusal, place = watcher.fallback
    assert "its disk is full" in refusal.message
    assert place.parent == tmp_path
    assert sorted(file.name for file in place.iterdir()) == sorted(RESULTS)
    assert pq.read_table(place / "vectors.parquet").num_rows == len(photos)
    assert watcher.failures == []
    # Whole files alone stay on the full disk.
    assert set(kept) <= {"film.mov", "report.json", "failures.jsonl", "vectors.parquet"}


def test_a_reader_that_stops_ends_a_command_without_a_word(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPVEC_"))}
    command = f"{STEPVEC} plan --images 300 | {{ exec 0<&-; sleep 5; }}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("141\n", "")
