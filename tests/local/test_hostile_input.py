"""Hostile names, manifests and secrets through the whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resilience.corpus.disguises import hostile_keys
from tests.local.conftest import Finished, Pipeline, photo


@pytest.fixture(scope="module")
def keys(pipeline: Pipeline) -> tuple[str, ...]:
    for number, key in enumerate(hostile_keys()):
        pipeline.put(key, photo(number))
    return hostile_keys()


@pytest.fixture(scope="module")
def run(pipeline: Pipeline, keys: tuple[str, ...]) -> Finished:
    """Of just these keys, by a manifest: the bucket is shared with other tests."""
    lines = "".join(json.dumps(key) + "\n" for key in keys)
    work = pipeline.deployment.work_bucket
    pipeline.s3.put_object(Bucket=work, Key="hostile/keys.jsonl", Body=lines.encode())
    return pipeline.run({"Manifest": f"s3://{work}/hostile/keys.jsonl"})


def test_every_hostile_key_gets_a_row_of_its_own(pipeline: Pipeline, run: Finished, keys: tuple[str, ...]) -> None:
    assert run.counts() == {"embedded": len(keys)}
    assert run.status == "SUCCEEDED"
    assert [pipeline.row(key).key for key in keys] == list(keys)
    assert len({pipeline.row(key).vector for key in keys}) == len(keys)


def test_a_listing_finds_the_same_keys(pipeline: Pipeline, run: Finished, keys: tuple[str, ...]) -> None:
    del run
    listed = pipeline.run({"Paths": ["names"]})
    assert listed.counts() == {"unchanged": sum(key.startswith("names/") for key in keys)}


def test_no_key_was_run_as_a_command_or_taken_for_a_path(run: Finished) -> None:
    del run
    root = Path(__file__).resolve().parent.parent.parent
    folders = {root, root / "worker_image", Path.cwd(), Path("/")}
    assert not [path for folder in folders for path in folder.glob("*was-here*")]


def test_a_manifest_that_lies_about_a_size_costs_its_image_alone(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    etags = {}
    for name, body in (("good.jpg", photo(1)), ("huge.jpg", photo(2) + bytes(65 * 1024 * 1024))):
        pipeline.put(f"{folder}/{name}", body)
        head = pipeline.s3.head_object(Bucket=pipeline.deployment.image_bucket, Key=f"{folder}/{name}")
        etags[name] = head["ETag"].strip('"')
    lines = [{"key": f"{folder}/{name}", "size": 5, "etag": etag} for name, etag in etags.items()]
    work = pipeline.deployment.work_bucket
    pipeline.s3.put_object(Bucket=work, Key=f"{folder}.jsonl", Body="\n".join(map(json.dumps, lines)).encode())
    lied = pipeline.run({"Manifest": f"s3://{work}/{folder}.jsonl"})
    assert lied.counts() == {"embedded": 1, "failed": 1}
    assert [failure["reason"] for failure in lied.failures] == ["TooLarge"]


@pytest.mark.parametrize(
    ("run_input", "told"),
    [
        ({"Manifest": "s3://somebody-elses/list.jsonl"}, "another bucket (somebody-elses)"),
        ({"Manifest": "http://169.254.169.254/latest/meta-data"}, "is not an S3 URI"),
        ({"Manifest": "file:///etc/passwd"}, "is not an S3 URI"),
        ({"Paths": ["s3://somebody-elses/images"]}, "another bucket (s3://somebody-elses)"),
        ({"Paths": ["x" * 100_000], "Typo" * 1000: 1}, "unknown field"),
    ],
)
def test_an_input_reaches_no_other_place(pipeline: Pipeline, run_input: Any, told: str) -> None:
    run = pipeline.run(run_input)
    assert (run.status, run.ended.error) == ("FAILED", "InvalidInput")
    assert told in run.ended.cause
    assert len(run.ended.cause) < 2_000


def test_no_log_and_no_file_of_a_run_holds_a_secret(pipeline: Pipeline, run: Finished) -> None:
    """After the runs above, good and bad, and one whose worker is refused what it needs."""
    del run
    secrets = pipeline.cloud.issued_secrets()
    assert len(secrets) > 4
    texts = [*_log_lines(pipeline), *_work_files(pipeline)]
    assert len(texts) > 50
    leaks = [text[:200] for text in texts if any(secret in text for secret in secrets)]
    assert not leaks


def _log_lines(pipeline: Pipeline) -> list[str]:
    logs = pipeline.cloud.client("logs")
    lines = []
    for group in logs.describe_log_groups()["logGroups"]:
        for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]:
            events = logs.get_log_events(
                logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
            lines += [event["message"] for event in events]
    return lines


def _work_files(pipeline: Pipeline) -> list[str]:
    bucket = pipeline.deployment.work_bucket
    pages = pipeline.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith("json")]
    return [pipeline.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys]
