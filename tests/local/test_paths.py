"""What a path names, from the command line to the rows: prefixes, single objects, manifests, suffixes, inventories."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from stepvec.client.runs import Run
from stepvec.runs.reports import RunReport
from tests.local.conftest import Pipeline, photo
from tests.local.test_audit import audit
from tests.local.test_client import stepvec
from tests.local.test_json import checked


def run(pipeline: Pipeline, *arguments: str) -> RunReport:
    """The report of a `stepvec run` that succeeds."""
    ran = stepvec(pipeline, "run", *arguments, "--wait")
    assert ran.returncode == 0, ran.stderr
    report = Run(pipeline.deployment, ran.stdout.strip()).report()
    assert report is not None
    return report


def embedded(pipeline: Pipeline, keys: list[str]) -> set[str]:
    return {key for key in keys if pipeline.has_row(key)}


@pytest.fixture
def keys(pipeline: Pipeline) -> list[str]:
    """Keys that differ in what a path may confuse: a slash in front, two of them, one in the middle twice."""
    folder = pipeline.folder()
    keys = [f"{folder}/a.jpg", f"/{folder}/b.jpg", f"//{folder}/c.jpg", f"{folder}//d.jpg", f"{folder}-old/e.jpg"]
    for number, key in enumerate(keys):
        pipeline.put(key, photo(number))
    return keys


def test_four_ways_to_name_what_to_embed_mean_exactly_that(pipeline: Pipeline, keys: list[str]) -> None:
    plain, slash, two, middle, old = keys
    folder, bucket = plain.partition("/")[0], pipeline.deployment.image_bucket
    assert run(pipeline, f"/{folder}").embedded == 1
    assert embedded(pipeline, keys) == {slash}
    assert run(pipeline, f"s3://{bucket}//{folder}/").unchanged == 1
    assert embedded(pipeline, keys) == {slash}
    assert run(pipeline, f"s3://{bucket}///{folder}/").embedded == 1
    assert embedded(pipeline, keys) == {slash, two}
    assert run(pipeline, middle).embedded == 1
    assert embedded(pipeline, keys) == {slash, two, middle}
    lines = [f"s3://{bucket}/{plain}", json.dumps(old), {"key": f"s3://{bucket}/{slash}"}]
    manifest = "\n".join(json.dumps(line) if not str(line).startswith('"') else str(line) for line in lines)
    pipeline.s3.put_object(Bucket=pipeline.deployment.work_bucket, Key=f"{folder}.jsonl", Body=manifest.encode())
    report = run(pipeline, "--manifest", f"s3://{pipeline.deployment.work_bucket}/{folder}.jsonl")
    assert (report.embedded, report.unchanged) == (2, 1)
    assert embedded(pipeline, keys) == set(keys)
    refused = stepvec(pipeline, "run", f"/{folder}-old", "--wait")
    assert refused.returncode == 1
    assert f"'{folder}-old/' is another prefix" in " ".join(refused.stderr.split())


def test_one_object_is_that_object_for_every_command(pipeline: Pipeline, keys: list[str], tmp_path: Path) -> None:
    plain, slash = keys[:2]
    folder = plain.partition("/")[0]
    run(pipeline, plain)
    run(pipeline, slash)
    for path, key in ((plain, plain), (f"s3://{pipeline.deployment.image_bucket}/{slash}", slash)):
        assert json.loads(stepvec(pipeline, "plan", path, "--json").stdout)["images"] == 1
        code, found, counts = audit(pipeline, path, "--sample", "1")
        assert (code, found) == (0, set())
        assert (counts["rows"], counts["images"], counts["matched"], counts["sampled"]) == (1, 1, 1, 1)
        file = tmp_path / "one.parquet"
        exported = stepvec(pipeline, "export", path, "--out", str(file))
        assert exported.returncode == 0, exported.stderr
        assert pq.read_table(file)["key"].to_pylist() == [key]
    assert audit(pipeline, keys[4], "--sample", "0")[1] == {("ImageWithoutRow", keys[4])}
    pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=plain)
    assert audit(pipeline, plain, "--sample", "0")[1] == {("RowWithoutImage", plain)}
    assert audit(pipeline, f"{folder}/", "--sample", "0")[1] == {
        ("RowWithoutImage", plain),
        ("ImageWithoutRow", keys[3]),
    }


def test_suffixes_of_a_run_are_those_of_plan_and_audit(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number, name in enumerate(("a.jpg", "b.picture", "c", "d.txt", "._a.jpg")):
        pipeline.put(f"{folder}/{name}", photo(number))
    options = ("--suffix", "picture", "--suffix", "(none)")
    planned = json.loads(stepvec(pipeline, "plan", folder, *options, "--json").stdout)
    assert (planned["images"], planned["ignored_by_suffix"]) == (3, {"txt": 1, "(AppleDouble)": 1})
    report = run(pipeline, folder, *options)
    assert (report.embedded, report.ignored) == (3, 2)
    code, found, counts = audit(pipeline, folder, *options, "--sample", "0")
    assert (code, found, counts["images"], counts["matched"]) == (0, set(), 3, 3)
    # What a run took is no orphan for an audit that was told nothing of it.
    code, found, counts = audit(pipeline, folder, "--sample", "0")
    assert (code, found, counts["ignored_by_suffix"]) == (0, set(), {"txt": 1, "(AppleDouble)": 1})
    assert audit(pipeline, folder, "--suffix", "*", "--sample", "0")[1] == {("ImageWithoutRow", f"{folder}/d.txt")}


def test_archived_and_broken_on_a_second_run(pipeline: Pipeline) -> None:
    folder, bucket = pipeline.folder(), pipeline.deployment.image_bucket
    pipeline.put(f"{folder}/good.jpg", photo(1))
    pipeline.put(f"{folder}/broken.jpg", b"no photo")
    pipeline.s3.put_object(Bucket=bucket, Key=f"{folder}/cold.jpg", Body=photo(2), StorageClass="DEEP_ARCHIVE")
    report = run(pipeline, folder, "--max-failures", "2")
    assert (report.embedded, report.failed_by_reason) == (1, {"Archived": 1, "NotAnImage": 1})
    # Archived may pass, and is tried (and counts) each time; what lies in the bytes does not.
    again = run(pipeline, folder, "--max-failures", "1")
    assert (again.unchanged, again.failed_by_reason) == (1, {"Archived": 1})
    assert again.failed_before_by_reason == {"NotAnImage": 1}
    retried = run(pipeline, folder, "--retry-failures", "--max-failures", "2")
    assert (retried.failed_by_reason, retried.failed_before) == ({"Archived": 1, "NotAnImage": 1}, 0)
    pipeline.put(f"{folder}/cold.jpg", photo(2))
    restored = run(pipeline, folder)
    assert (restored.embedded, restored.unchanged, restored.failed_before) == (1, 1, 1)


@pytest.mark.parametrize("kind", ["Parquet", "ORC"])
def test_an_inventory_is_converted_and_run(pipeline: Pipeline, kind: str) -> None:
    folder, image_bucket, work = pipeline.folder(), pipeline.deployment.image_bucket, pipeline.deployment.work_bucket
    names = ["1.jpg", "ü b+c%.jpg", "notes.txt", "old.jpg", "cold.jpg"]
    for number, name in enumerate(names):
        pipeline.put(f"{folder}/{name}", photo(number))
    heads = [pipeline.s3.head_object(Bucket=image_bucket, Key=f"{folder}/{name}") for name in names]
    rows = pa.table({
        "bucket": [image_bucket] * len(names),
        "key": [f"{folder}/{name}" for name in names],
        "is_latest": [name != "old.jpg" for name in names],
        "is_delete_marker": [False] * len(names),
        "size": pa.array([head["ContentLength"] for head in heads], pa.int64()),
        "e_tag": [head["ETag"].strip('"') for head in heads],
        "storage_class": ["GLACIER" if name == "cold.jpg" else "STANDARD" for name in names],
    })  # fmt: skip
    stream = io.BytesIO()
    if kind == "Parquet":
        pq.write_table(rows, stream)
    else:
        orc.write_table(rows, stream)
    where = f"inventories/{folder}"
    manifest = {
        "sourceBucket": image_bucket,
        "destinationBucket": f"arn:aws:s3:::{work}",
        "fileFormat": kind,
        "fileSchema": "message s3.inventory { required binary key (STRING); }",
        "files": [{"key": f"{where}/data", "size": len(stream.getvalue())}],
    }
    pipeline.s3.put_object(Bucket=work, Key=f"{where}/data", Body=stream.getvalue())
    pipeline.s3.put_object(Bucket=work, Key=f"{where}/manifest.json", Body=json.dumps(manifest).encode())
    converted = stepvec(pipeline, "inventory", f"s3://{work}/{where}/manifest.json", "--json")
    (written,) = checked(converted, "InventoryAnswer").values()
    assert stepvec(pipeline, "inventory", f"s3://{work}/{where}/manifest.json").stdout.startswith("s3://")
    report = run(pipeline, "--manifest", written, "--max-failures", "1")
    assert (report.embedded, report.failed_by_reason, report.ignored) == (2, {"Archived": 1}, 1)
    assert all(pipeline.has_row(f"{folder}/{name}") for name in names[:2])
