"""Executions over the same images at once: no image lost, no vector of an older object left behind."""

from __future__ import annotations

from stepvec.client.runs import Run
from tests.local.conftest import Finished, Pipeline, photo, wait_until

PHOTOS = 60


def finished(*runs: Run) -> list[Finished]:
    return [Finished(run.wait(), []) for run in runs]


def stored(pipeline: Pipeline, folder: str, numbers: range | list[int]) -> dict[int, bytes]:
    return {number: pipeline.row(f"{folder}/{number:02d}.jpg").vector for number in numbers}


def put(pipeline: Pipeline, folder: str, photos: dict[int, int]) -> None:
    """Photos of these seeds, by number."""
    for number, seed in photos.items():
        pipeline.put(f"{folder}/{number:02d}.jpg", photo(seed))


def test_two_executions_at_once_embed_every_photo_and_both_find_all(pipeline: Pipeline) -> None:
    alone, together = pipeline.folder(), pipeline.folder()
    for folder in (alone, together):
        put(pipeline, folder, {number: number for number in range(PHOTOS)})
    assert pipeline.run({"Paths": [alone]}).counts() == {"embedded": PHOTOS}

    runs = [pipeline.start({"Paths": [together], "ShardSize": 30}) for _ in range(2)]
    for run in finished(*runs):
        assert run.status == "SUCCEEDED"
        assert run.report.found == run.report.embedded + run.report.unchanged == PHOTOS

    assert stored(pipeline, together, range(PHOTOS)) == stored(pipeline, alone, range(PHOTOS))


def test_two_that_embed_again_at_once_take_each_others_rows_for_new(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    put(pipeline, folder, {number: number for number in range(PHOTOS)})
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": PHOTOS}
    before = stored(pipeline, folder, range(PHOTOS))
    runs = [pipeline.start({"Paths": [folder], "ShardSize": 30, "Reembed": True}) for _ in range(2)]
    for run in finished(*runs):
        assert run.status == "SUCCEEDED"
        assert run.report.embedded + run.report.unchanged == PHOTOS
    assert {pipeline.row(f"{folder}/{number:02d}.jpg").run for number in range(PHOTOS)} <= {run.name for run in runs}
    assert stored(pipeline, folder, range(PHOTOS)) == before


def test_photos_overwritten_while_a_run_goes_end_with_the_newest_vector(pipeline: Pipeline) -> None:
    """The second run reads the new objects while the first, which listed the old ones, still writes."""
    expected, folder = pipeline.folder(), pipeline.folder()
    newer = {number: 1_000 + number for number in range(0, PHOTOS, 3)}
    put(pipeline, expected, {number: number for number in range(PHOTOS)} | newer)
    put(pipeline, folder, {number: number for number in range(PHOTOS)})
    assert pipeline.run({"Paths": [expected]}).counts() == {"embedded": PHOTOS}

    first = pipeline.start({"Paths": [folder], "ShardSize": 15})
    wait_until(lambda: first.progress().embedded >= 5)
    put(pipeline, folder, newer)
    second = pipeline.start({"Paths": [folder], "ShardSize": 15})
    of_first, of_second = finished(first, second)

    assert of_second.status == "SUCCEEDED"
    assert of_second.report.found == PHOTOS
    # What it had listed is gone: for such photos it fails, in so many words or as a row that it did not expect.
    counts = of_first.counts()
    assert sum(counts.values()) == PHOTOS
    assert counts.get("failed", 0) + counts.get("missing", 0) <= len(newer)
    assert of_first.report.failed_by_reason.keys() <= {"Changed"}
    assert stored(pipeline, folder, range(PHOTOS)) == stored(pipeline, expected, range(PHOTOS))
    assert pipeline.run({"Paths": [folder]}).counts() == {"unchanged": PHOTOS}


def test_an_upload_is_embedded_by_its_manifest_while_a_scheduled_run_goes(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    put(pipeline, folder, {number: number for number in range(PHOTOS)})
    scheduled = pipeline.start({"Paths": [folder], "ShardSize": 15})
    uploaded = [f"{folder}/{number:02d}.jpg" for number in (0, 30, 59)]
    work = pipeline.deployment.work_bucket
    body = "".join(f'"{key}"\n' for key in uploaded).encode()
    pipeline.s3.put_object(Bucket=work, Key=f"uploads/{folder}.jsonl", Body=body)
    by_upload = pipeline.start({"Manifest": f"s3://{work}/uploads/{folder}.jsonl"})

    of_schedule, of_upload = finished(scheduled, by_upload)

    assert (of_schedule.status, of_upload.status) == ("SUCCEEDED", "SUCCEEDED")
    assert of_schedule.report.found == PHOTOS
    assert of_upload.report.found == len(uploaded)
    assert pipeline.run({"Paths": [folder]}).counts() == {"unchanged": PHOTOS}
