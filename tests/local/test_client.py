"""`stepvec run`, `status`, `report`, `cancel` and `deploy`, against the embedded AWS as against an account."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from stepvec.rows.vectors import decode_vector
from tests.local.conftest import Pipeline, photo
from tests.local.test_cli import STEPVEC, WITHOUT_AWS


def stepvec(pipeline: Pipeline, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**WITHOUT_AWS, **pipeline.client_environment(), **changes}
    return subprocess.run(
        [STEPVEC, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline) -> str:
    folder = pipeline.folder()
    for number in range(3):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    pipeline.put(f"{folder}/bad.jpg", b"no photo")
    return folder


def test_a_run_is_started_waited_for_listed_and_reported(pipeline: Pipeline, folder: str) -> None:
    ran = stepvec(pipeline, "run", folder, "--wait", "--max-failures", "1")
    assert ran.returncode == 0, ran.stderr
    name = ran.stdout.strip()
    assert "SUCCEEDED" in ran.stderr
    assert f"SUCCEEDED  {name}" in stepvec(pipeline, "status").stdout
    assert "listed" in stepvec(pipeline, "status", name).stdout
    report = json.loads(stepvec(pipeline, "report", name, "--json").stdout)
    assert (report["embedded"], report["failed"], report["run"]) == (3, 1, name)
    (failure,) = map(json.loads, stepvec(pipeline, "report", name, "--failures").stdout.splitlines())
    assert failure["reason"] == "NotAnImage"


def test_a_runs_report_is_a_page_with_what_can_be_seen_of_its_failures(
    pipeline: Pipeline, folder: str, tmp_path: Path
) -> None:
    pipeline.put(f"{folder}/half.jpg", photo(9)[:-900])
    name = stepvec(pipeline, "run", folder, "--wait", "--max-failures", "2", "--reembed").stdout.strip()
    written = stepvec(pipeline, "report", name, "--html", str(tmp_path / "page.html"))
    assert written.returncode == 0, written.stderr
    page = (tmp_path / "page.html").read_text()
    assert f"<h1>Run {name}</h1>" in page
    assert "<polygon" in page
    assert f"{folder}/half.jpg" in page
    assert page.count("data:image/webp;base64,") == 1
    assert page.count("nothing to see") == 1
    refused = stepvec(pipeline, "report", name, "--html", str(tmp_path))
    assert refused.returncode == 1
    assert "a file is to be written" in refused.stderr
    pipeline.s3.delete_object(Bucket=pipeline.deployment.image_bucket, Key=f"{folder}/half.jpg")


def test_what_was_planned_stands_beside_what_was(pipeline: Pipeline, folder: str) -> None:
    plan = json.loads(stepvec(pipeline, "plan", folder, "--vcpu-hour-usd", "0.03", "--json").stdout)
    assert (plan["images"], plan["shards"], plan["jobs"]) == (4, 1, 1)
    assert plan["model"].startswith("efficientnet_lite0/")
    name = stepvec(pipeline, "run", folder, "--reembed", "--max-failures", "1", "--wait").stdout.strip()
    printed = stepvec(pipeline, "report", name).stdout
    assert "planned" in printed
    assert "actual" in printed
    report = json.loads(stepvec(pipeline, "report", name, "--json").stdout)
    planned, cost = report["planned"], report["cost"]
    # The same four images on the same deployment, whose Spot price nobody knows.
    assert planned["images"] == 4
    assert planned["usd"]["step_functions"] == plan["cost"]["usd"]["step_functions"] == cost["usd"]["step_functions"]
    assert cost["usd"]["batch"] == cost["total_usd"] == planned["total_usd"] == "unknown"
    # Three were written, and the plan is of four; its keys are as long as keys usually are.
    assert cost["usage"]["write_units"] == plan["write_units_an_image"] * 3
    assert cost["usage"]["lambda_gb_seconds"] > 0


def test_a_tables_vectors_are_exported_as_parquet(pipeline: Pipeline, folder: str, tmp_path: Path) -> None:
    pipeline.run({"Paths": [folder], "MaxFailures": 1})
    key = f"{folder}-old/3.jpg"
    pipeline.put(key, photo(3))
    later = pipeline.run({"Paths": [f"{folder}-old"]})
    out = tmp_path / "vectors"
    exported = stepvec(pipeline, "export", folder, "--out", str(out), "--json")
    assert exported.returncode == 0, exported.stderr
    answer = json.loads(exported.stdout)
    assert (answer["manifest"]["rows"], answer["report"]["expected"], answer["report"]["found"]) == (3, 3, 3)
    table = pq.read_table(out)
    assert sorted(table["key"].to_pylist()) == [f"{folder}/{number}.jpg" for number in range(3)]
    for row in table.to_pylist():
        np.testing.assert_array_equal(row["vector"], decode_vector(pipeline.row(row["image_id"])))
    again = stepvec(pipeline, "export", folder, "--out", str(out))
    assert again.returncode == 1
    assert "is a finished export already" in " ".join(again.stderr.split())
    since = stepvec(pipeline, "export", "--since", later.ended.run, "--out", str(out), "--replace")
    assert "report of" in since.stderr, since.stderr
    assert pq.read_table(out)["key"].to_pylist() == [key]


def test_an_export_may_be_one_file_or_in_s3(pipeline: Pipeline, folder: str, tmp_path: Path) -> None:
    pipeline.run({"Paths": [folder], "MaxFailures": 1})
    file = tmp_path / "vectors.parquet"
    for _ in range(2):  # a file is written over
        whole = stepvec(pipeline, "export", folder, "--out", str(file))
        assert pq.read_table(file).num_rows == 3, whole.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.parquet"]
    nothing = stepvec(pipeline, "export", "--model", "other", "--out", str(tmp_path / "no.parquet"))
    assert nothing.returncode == 1
    assert "no rows of other, but" in " ".join(nothing.stderr.split())
    uri = f"s3://{pipeline.deployment.work_bucket}/exports/{folder}"
    uploaded = stepvec(pipeline, "export", folder, "--out", uri, "--numbers", "float16")
    assert uploaded.returncode == 0, uploaded.stderr
    listed = pipeline.s3.list_objects_v2(Bucket=pipeline.deployment.work_bucket, Prefix=f"exports/{folder}/")
    names = sorted(entry["Key"].rpartition("/")[2] for entry in listed["Contents"])
    manifest = json.loads(
        pipeline.s3.get_object(Bucket=pipeline.deployment.work_bucket, Key=f"exports/{folder}/_manifest.json")[
            "Body"
        ].read()
    )
    assert names == sorted(["_manifest.json", *(entry["name"] for entry in manifest["files"])])
    assert (manifest["rows"], manifest["numbers"]) == (3, "float16")


def test_dynamodbs_own_export_is_started_read_and_read_again(pipeline: Pipeline, folder: str, tmp_path: Path) -> None:
    pipeline.run({"Paths": [folder], "MaxFailures": 1})
    where = f"s3://{pipeline.deployment.work_bucket}/backups"
    started = stepvec(pipeline, "export", folder, "--start-export", where, "--out", str(tmp_path / "one"), "--json")
    assert started.returncode == 0, started.stderr
    origin = json.loads(started.stdout)["manifest"]["origin"]
    assert (origin["kind"], origin["table"]) == ("point-in-time", pipeline.deployment.table)
    again = stepvec(pipeline, "export", folder, "--from-export", origin["uri"], "--out", str(tmp_path / "two"))
    assert again.returncode == 0, again.stderr
    one, two = (pq.read_table(tmp_path / name).sort_by("key") for name in ("one", "two"))
    assert one.num_rows == 3
    assert one.equals(two)


def test_a_run_that_fails_ends_with_exit_code_1(pipeline: Pipeline, folder: str) -> None:
    ran = stepvec(pipeline, "run", folder, "--wait", "--retry-failures")
    assert ran.returncode == 1
    assert "MaxFailures is 0" in " ".join(ran.stderr.split())


def test_a_run_is_cancelled_and_the_next_does_the_rest(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    for number in range(200):
        pipeline.put(f"{folder}/{number}.jpg", photo(number))
    # In so many jobs it goes on for much longer than the commands need, on any machine.
    name = stepvec(pipeline, "run", folder, "--shard-size", "5").stdout.strip()
    assert "RUNNING" in stepvec(pipeline, "status", name).stdout
    assert stepvec(pipeline, "cancel", name).stdout.strip() == f"stopped {name}"
    assert f"ABORTED    {name}" in stepvec(pipeline, "status").stdout
    assert "has ended already" in stepvec(pipeline, "cancel", name).stderr
    counts = pipeline.run({"Paths": [folder]}).counts()
    assert sum(counts.values()) == 200
    assert set(counts) <= {"embedded", "unchanged"}
