"""Photos in S3 become verified rows, through the real state machine: what a user sees."""

import json
from typing import Any, cast

import numpy as np
import psutil
import pytest

from stepvec import codec
from stepvec.client.runs import Run
from stepvec.runs.reports import ShardReport
from tests.local.conftest import Pipeline, photo, wait_until


def test_two_prefixes_with_files_of_one_name_keep_every_photo(pipeline: Pipeline) -> None:
    a, b = pipeline.folder(), pipeline.folder()
    keys = [f"{folder}/{name}" for folder in (a, b) for name in ("1.jpg", "2.JPG")]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    run = pipeline.run({"Paths": [a, f"{b}/"]})
    assert run.status == "SUCCEEDED"
    assert run.counts() == {"embedded": 4}
    assert run.report.found == 4
    assert len({pipeline.row(key).vector for key in keys}) == 4


def test_the_original_samples_reader_reads_every_row_by_batch_get_item(pipeline: Pipeline) -> None:
    import boto3

    folder = pipeline.folder()
    keys = [f"{folder}/{number}.jpg" for number in range(3)]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    assert pipeline.run({"Paths": [folder]}).status == "SUCCEEDED"
    cloud, name = pipeline.cloud, pipeline.deployment.table
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        aws_access_key_id=cloud.access_key_id,
        aws_secret_access_key=cloud.secret_access_key,
    )
    answer = resource.batch_get_item(RequestItems={name: {"Keys": [{"ImageId": key} for key in keys]}})
    items = cast("list[Any]", answer["Responses"][name])
    assert sorted(item["ImageId"] for item in items) == keys
    for item in items:
        vector = np.frombuffer(item["Vector"].value, dtype=item["DataType"])
        assert len(vector) == item["Dimension"]
        assert np.isfinite(vector).all()
        assert vector.std() > 0


def test_a_second_run_embeds_only_what_is_new_changed_or_missing(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    keys = [f"{folder}/{number}.jpg" for number in range(5)]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    start = {"Paths": [folder]}
    assert pipeline.run(start).counts() == {"embedded": 5}
    before = pipeline.row(keys[0])

    second = pipeline.run(start)
    assert second.counts() == {"unchanged": 5}
    assert (second.report.found, second.report.shards) == (5, 0)

    pipeline.put(keys[0], photo(99))
    assert pipeline.run(start).counts() == {"embedded": 1, "unchanged": 4}
    assert pipeline.row(keys[0]).vector != before.vector

    pipeline.delete_row(keys[1])
    assert pipeline.run(start).counts() == {"embedded": 1, "unchanged": 4}

    again = pipeline.run({**start, "Reembed": True})
    assert again.counts() == {"embedded": 5}
    assert {pipeline.row(key).run for key in keys} == {again.report.run}


def test_odd_keys_go_through_unharmed(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    names = [
        "with space.jpg",
        "ünï.JPG",
        "new\nline.png",
        "1+1=2.jpeg",
        "50%25.jpg",
        "日本/写真.jpg",
        "q?a&b#c;'\".jpg",
    ]
    for number, name in enumerate(names):
        pipeline.put(f"{folder}/{name}", photo(number, kind="PNG" if name.endswith("png") else "JPEG"))
    run = pipeline.run({"Paths": [folder]})
    assert run.counts() == {"embedded": len(names)}
    for name in names:
        assert pipeline.row(f"{folder}/{name}").key == f"{folder}/{name}"


def test_overlapping_prefixes_and_other_files_are_counted_right(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    pipeline.put(f"{folder}/sub/2.jpg", photo(2))
    pipeline.put(f"{folder}-old/3.jpg", photo(3))
    pipeline.put(f"{folder}/notes.txt", b"no image")
    run = pipeline.run({"Paths": [folder, f"{folder}/sub", folder]})
    assert run.counts() == {"embedded": 2}
    assert run.report.ignored_by_suffix == {"txt": 1}


def test_many_shards_run_side_by_side_and_add_up(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(23):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.run({"Paths": [folder], "ShardSize": 6})
    assert run.counts() == {"embedded": 23}
    assert run.report.shards == 4
    client = pipeline.cloud.client("stepfunctions")
    arn = Run(pipeline.deployment, run.report.run).arn
    (map_run,) = client.list_map_runs(executionArn=arn)["mapRuns"]
    counts = client.describe_map_run(mapRunArn=map_run["mapRunArn"])["itemCounts"]
    assert (counts["succeeded"], counts["failed"], counts["total"]) == (4, 0, 4)


def test_stems_as_ids_refuse_conflicts_by_name(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number, name in enumerate(["a/x-1.jpg", "b/x-1.jpg", "b/x-2.jpg"]):
        pipeline.put(f"{folder}/{name}", photo(number))
    run = pipeline.run({"Paths": [folder], "ImageId": "stem", "MaxFailures": 2})
    assert run.status == "SUCCEEDED"
    assert run.counts() == {"embedded": 1, "failed": 2}
    assert {failure["key"] for failure in run.failures} == {f"{folder}/a/x-1.jpg", f"{folder}/b/x-1.jpg"}
    assert all(failure["reason"] == "IdConflict" for failure in run.failures)
    assert pipeline.row("x-2").key == f"{folder}/b/x-2.jpg"
    assert not pipeline.has_row("x-1")


def test_a_manifest_lists_what_to_embed_and_a_missing_key_is_not_found(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    pipeline.put(f"{folder}/2.jpg", photo(2))
    lines = [f"{folder}/1.jpg", {"key": f"{folder}/1.jpg"}, f"{folder}/gone.jpg"]
    body = "\n".join(map(json.dumps, lines)).encode()
    work = pipeline.deployment.work_bucket
    pipeline.s3.put_object(Bucket=work, Key=f"manifests/{folder}.jsonl", Body=body)
    run = pipeline.run({"Manifest": f"s3://{work}/manifests/{folder}.jsonl", "MaxFailures": 1})
    assert run.status == "SUCCEEDED"
    assert run.counts() == {"embedded": 1, "failed": 1}
    assert run.report.duplicates == 1
    assert [(failure["key"], failure["reason"]) for failure in run.failures] == [(f"{folder}/gone.jpg", "NotFound")]


def test_the_same_photo_gets_the_same_bytes_in_every_run(pipeline: Pipeline) -> None:
    folder, other = pipeline.folder(), pipeline.folder()
    pipeline.put(f"{folder}/a.jpg", photo(5))
    pipeline.run({"Paths": [folder]})
    for number in range(6):
        pipeline.put(f"{other}/{number}.jpg", photo(number))
    pipeline.run({"Paths": [other]})
    assert pipeline.row(f"{folder}/a.jpg").vector == pipeline.row(f"{other}/5.jpg").vector


def test_a_worker_told_to_stop_stores_what_it_has_and_the_next_attempt_does_the_rest(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(300):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.start({"Paths": [folder]})
    wait_until(lambda: 0 < run.progress().embedded < 250)
    _worker_process(run.name).terminate()
    report = _shard_report(pipeline, run, embedded=300)
    assert report.attempt == 2
    # Each row costs the same units, so the second attempt paid for its own rows alone.
    assert 0 < report.write_units < 300 * 6


def test_an_embedding_process_that_is_killed_is_replaced_and_no_photo_is_lost(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(300):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.start({"Paths": [folder]})
    wait_until(lambda: 0 < run.progress().embedded < 250)
    (process,) = _worker_process(run.name).children()
    process.kill()
    report = _shard_report(pipeline, run, embedded=300)
    assert (report.attempt, report.processes, report.processes_lost) == (1, 1, 1)
    assert report.running == "mxnet float32"


def _worker_process(run: str) -> psutil.Process:
    """The supervisor of the run's one shard; its embedding processes were forked from it, and look like it."""
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(f"/runs/{run}/" in argument for argument in process.info["cmdline"] or [])
    ]
    (supervisor,) = (process for process in found if process.parent() not in found)
    return supervisor


def _shard_report(pipeline: Pipeline, run: Run, *, embedded: int) -> ShardReport:
    """What the worker of the run's one shard wrote, after the run has embedded so many."""
    ended = run.wait()
    assert ended.status == "SUCCEEDED"
    assert ended.report is not None
    assert (ended.report.embedded, ended.report.unchanged, ended.report.missing) == (embedded, 0, 0)
    stored = pipeline.s3.get_object(Bucket=pipeline.deployment.work_bucket, Key=run.layout.shard_report(0).key)
    return codec.from_json(ShardReport, stored["Body"].read(), where="the shard's report")


def test_one_broken_shard_does_not_stop_its_siblings_and_the_run_says_what_is_missing(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(8):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.start({"Paths": [folder], "ShardSize": 4})
    store = pipeline.s3
    work = pipeline.deployment.work_bucket
    wait_until(lambda: "Contents" in store.list_objects_v2(Bucket=work, Prefix=f"runs/{run.name}/shards/"))
    store.put_object(Bucket=work, Key=run.layout.shard(0).key, Body=b"this is no shard")
    ended = run.wait()
    assert (ended.status, ended.error) == ("FAILED", "Incomplete")
    assert ended.report is not None
    assert (ended.report.embedded, ended.report.missing) == (4, 4)
    assert "missing 4" in ended.cause

    again = pipeline.run({"Paths": [folder], "ShardSize": 4})
    assert again.counts() == {"embedded": 4, "unchanged": 4}


@pytest.mark.parametrize(
    ("run_input", "named"),
    [
        ({}, "Paths"),
        ({"Paths": "images"}, "not a list"),
        ({"Paths": ["no-such-prefix"]}, "no image under 'no-such-prefix/'"),
        ({"Paths": ["a"], "ShardSize": 0}, "ShardSize is 0"),
        ({"Paths": ["a"], "ShardSize": "x"}, "ShardSize is 'x'"),
        ({"Paths": ["a"], "Shards": 3}, "unknown field 'Shards'"),
        ({"Paths": ["s3://another-bucket/a"]}, "another bucket"),
    ],
)
def test_a_wrong_input_gets_one_clear_error_and_starts_nothing(
    pipeline: Pipeline, run_input: object, named: str
) -> None:
    jobs = _job_count(pipeline)
    run = pipeline.run(run_input)
    assert (run.status, run.ended.error) == ("FAILED", "InvalidInput")
    assert named in run.ended.cause
    assert "Traceback" not in run.ended.cause
    assert "stackTrace" not in run.ended.cause
    assert _job_count(pipeline) == jobs


def test_a_name_used_again_reads_nothing_of_the_run_before(pipeline: Pipeline) -> None:
    # Step Functions frees a name after 90 days; what that run left in the work bucket is there for longer.
    folder, work = pipeline.folder(), pipeline.deployment.work_bucket
    pipeline.put(f"{folder}/a.jpg", photo(1))
    started = json.dumps({"started": "2026-01-01T00:00:00Z"}).encode()
    pipeline.s3.put_object(Bucket=work, Key="runs/used-again/started.json", Body=started)
    jobs = _job_count(pipeline)
    run = pipeline.run({"Paths": [folder]}, name="used-again")
    assert (run.status, run.ended.error) == ("FAILED", "InvalidInput")
    assert "The name 'used-again' is that of the run of 2026-01-01T00:00:00Z" in run.ended.cause
    assert _job_count(pipeline) == jobs
    files = pipeline.s3.list_objects_v2(Bucket=work, Prefix="runs/used-again/")["Contents"]
    assert [entry["Key"] for entry in files] == ["runs/used-again/started.json"]


def _job_count(pipeline: Pipeline) -> int:
    batch = pipeline.cloud.client("batch")
    (queue,) = (entry["jobQueueArn"] for entry in batch.describe_job_queues()["jobQueues"])
    states = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
    return sum(len(batch.list_jobs(jobQueue=queue, jobStatus=state)["jobSummaryList"]) for state in states)
