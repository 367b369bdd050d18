"""`stepvec audit` and `stepvec repair` against the embedded AWS: what was done to a table is found, and mended."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stepvec.audit.orphans import Orphan, OrphanCounts, delete_orphans
from stepvec.client.runs import Run
from stepvec.rows.item import encode_item
from stepvec.runs.listing import read_shard
from tests.local.conftest import Pipeline, photo
from tests.local.test_client import stepvec


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    folder = pipeline.folder()
    for number in range(8):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 8}
    return folder


def audit(pipeline: Pipeline, *arguments: str) -> tuple[int, set[tuple[str, str]], dict[str, Any]]:
    """Exit code, findings as kind and key, counts."""
    result = stepvec(pipeline, "audit", *arguments, "--json")
    assert "Traceback" not in result.stderr, result.stderr
    assert result.stdout, result.stderr
    *findings, counts = map(json.loads, result.stdout.splitlines())
    return result.returncode, {(finding["kind"], finding["key"]) for finding in findings}, counts


def damage(pipeline: Pipeline, folder: str) -> set[tuple[str, str]]:
    """Spoil six of the eight images, each in its own way, and say what is to be found."""
    table = pipeline.deployment.table
    pipeline.delete_row(f"{folder}/0.jpg")
    pipeline.put(f"{folder}/1.jpg", photo(100))
    pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=f"{folder}/2.jpg")
    item = encode_item(pipeline.row(f"{folder}/3.jpg"))
    noise = np.random.default_rng(0).normal(size=int(item["Dimension"]["N"])).astype("<f4").tobytes()
    pipeline.dynamodb.put_item(TableName=table, Item={**item, "Vector": {"B": noise}})
    other = encode_item(pipeline.row(f"{folder}/4.jpg"))
    pipeline.dynamodb.put_item(TableName=table, Item={**other, "Model": {"S": "resnet18_v1/000000000000/standard-1"}})
    extra = {**encode_item(pipeline.row(f"{folder}/5.jpg")), "ImageId": {"S": f"{folder}/never.jpg"}}
    pipeline.dynamodb.put_item(TableName=table, Item={**extra, "Key": {"S": f"{folder}/never.jpg"}})
    return {
        ("ImageWithoutRow", f"{folder}/0.jpg"),
        ("OtherETag", f"{folder}/1.jpg"),
        ("RowWithoutImage", f"{folder}/2.jpg"),
        ("WrongVector", f"{folder}/3.jpg"),
        ("OtherModel", f"{folder}/4.jpg"),
        ("RowWithoutImage", f"{folder}/never.jpg"),
    }


def test_an_audit_finds_exactly_what_was_done_and_runs_mend_it(pipeline: Pipeline, folder: str) -> None:
    code, found, counts = audit(pipeline, folder, "--sample", "50")
    assert (code, found) == (0, set())
    assert (counts["rows"], counts["images"], counts["matched"], counts["sampled"]) == (8, 8, 8, 8)

    expected = damage(pipeline, folder)
    code, found, counts = audit(pipeline, folder, "--sample", "50")
    assert (code, found) == (1, expected)
    assert counts["findings"]["RowWithoutImage"] == 2

    pipeline.delete_row(f"{folder}/2.jpg")
    pipeline.delete_row(f"{folder}/never.jpg")
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 3, "unchanged": 4}
    assert audit(pipeline, folder, "--sample", "50")[1] == {("WrongVector", f"{folder}/3.jpg")}
    assert pipeline.run({"Paths": [folder], "Reembed": True}).counts() == {"embedded": 7}
    assert audit(pipeline, folder, "--sample", "50")[:2] == (0, set())


def test_an_audit_without_a_sample_compares_no_vectors(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    code, found, counts = audit(pipeline, folder, "--sample", "0")
    assert (code, found, counts["sampled"]) == (1, {("ImageWithoutRow", f"{folder}/1.jpg")}, 0)


def test_an_audit_in_words_names_the_remedy_and_no_raw_key(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/\x1b[31mred\u202e.jpg", photo(1))
    result = stepvec(pipeline, "audit", folder)
    assert result.returncode == 1
    assert "ImageWithoutRow" in result.stdout
    assert "stepvec run PREFIX" in result.stdout
    assert "\\x1b[31mred\\u202e" in result.stdout
    assert "\x1b[31m" not in result.stdout + result.stderr


def test_a_repair_does_what_failed_and_nothing_else(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(4):
        pipeline.put(f"{folder}/{number}.jpg", photo(number) if number else b"no photo")
    run = Run(pipeline.deployment, f"{folder}-first")
    run.start({"Paths": [folder]})
    assert run.wait().status == "FAILED"
    pipeline.put(f"{folder}/0.jpg", photo(50))
    pipeline.put(f"{folder}/new.jpg", photo(51))
    repaired = stepvec(pipeline, "repair", run.name, "--wait")
    assert repaired.returncode == 0, repaired.stderr
    report = json.loads(stepvec(pipeline, "report", repaired.stdout.strip(), "--json").stdout)
    assert (report["listed"], report["embedded"]) == (1, 1)
    assert not pipeline.has_row(f"{folder}/new.jpg")
    again = stepvec(pipeline, "repair", repaired.stdout.strip())
    assert again.returncode == 0
    assert "left nothing undone" in again.stderr


def test_a_repair_does_what_is_missing(pipeline: Pipeline) -> None:
    """A run whose second shard was lost, as its files in the work bucket tell it."""
    folder = pipeline.folder()
    for number in range(4):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = Run(pipeline.deployment, f"{folder}-first")
    run.start({"Paths": [folder], "ShardSize": 2})
    assert run.wait().status == "SUCCEEDED"
    shard = pipeline.s3.get_object(Bucket=run.layout.bucket, Key=run.layout.shard(1).key)["Body"].read()
    lost = [image.key for image in read_shard(io.BytesIO(shard), where="shard 1")]
    assert len(lost) == 2
    for key in lost:
        pipeline.delete_row(key)
    for uri in (run.layout.report, run.layout.verified(1)):
        body = json.loads(pipeline.s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read())
        body |= {"missing": 2, "embedded": body["embedded"] - 2}
        pipeline.s3.put_object(Bucket=uri.bucket, Key=uri.key, Body=json.dumps(body).encode())
    repaired = stepvec(pipeline, "repair", run.name, "--wait")
    assert repaired.returncode == 0, repaired.stderr
    report = json.loads(stepvec(pipeline, "report", repaired.stdout.strip(), "--json").stdout)
    assert (report["listed"], report["embedded"]) == (2, 2)
    assert all(pipeline.has_row(key) for key in lost)


def test_a_repair_is_refused_while_the_run_goes_and_where_it_left_no_report(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    # A job an image: it goes on for much longer than the command needs, on any machine.
    for number in range(40):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    run = pipeline.start({"Paths": [folder], "ShardSize": 1})
    refused = stepvec(pipeline, "repair", run.name)
    assert refused.returncode == 1
    assert f"The run {run.name} is still going" in refused.stderr
    run.stop()
    stopped = stepvec(pipeline, "repair", run.name)
    assert stopped.returncode == 1
    assert "ended ABORTED without a report" in " ".join(stopped.stderr.split())
    assert "There is no run" in stepvec(pipeline, "repair", "no-such-run").stderr


def test_orphans_are_deleted_after_a_dry_run(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(4):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    pipeline.put(f"{folder}/notes.txt", b"notes")
    assert pipeline.run({"Paths": [folder]}).counts() == {"embedded": 4}
    for number in (1, 2, 3):
        pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=f"{folder}/{number}.jpg")
    dry = stepvec(pipeline, "audit", folder, "--sample", "0", "--delete-orphans")
    assert dry.returncode == 1
    assert "To delete the 3 rows, add --yes" in " ".join(dry.stderr.split())
    assert "Ignored by suffix: 1 (txt 1)" in dry.stdout
    assert all(pipeline.has_row(f"{folder}/{number}.jpg") for number in range(4))
    done = stepvec(pipeline, "audit", folder, "--sample", "0", "--delete-orphans", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Deleted 3 rows; kept 0" in " ".join(done.stderr.split())
    assert [pipeline.has_row(f"{folder}/{number}.jpg") for number in range(4)] == [True, False, False, False]


def test_an_orphan_that_has_its_image_again_or_was_written_again_stays(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    keys = [f"{folder}/{number}.jpg" for number in range(3)]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    pipeline.run({"Paths": [folder]})
    for key in keys[1:]:
        pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=key)
    # The first has its image; the second is written again between the look at it and its deletion; the third is gone.
    racing = Racing(pipeline, keys[1])
    orphans = [Orphan(key, key) for key in (*keys, f"{folder}/never.jpg")]
    assert delete_orphans(replace(pipeline.deployment, client=racing.client), orphans) == OrphanCounts(1, 3)
    assert [pipeline.has_row(key) for key in keys] == [True, True, False]


class Racing:
    """Clients of a deployment, one of whose rows another run writes again after it was read."""

    def __init__(self, pipeline: Pipeline, key: str) -> None:
        self._pipeline = pipeline
        self._key = key

    def client(self, service: str) -> Any:
        return self if service == "dynamodb" else self._pipeline.deployment.client(service)

    def get_item(self, **request: Any) -> Any:
        answer = self._pipeline.dynamodb.get_item(**request)
        if request["Key"]["ImageId"]["S"] == self._key:
            item = {**encode_item(self._pipeline.row(self._key)), "Run": {"S": "another"}}
            self._pipeline.dynamodb.put_item(TableName=self._pipeline.deployment.table, Item=item)
        return answer

    def delete_item(self, **request: Any) -> Any:
        return self._pipeline.dynamodb.delete_item(**request)
