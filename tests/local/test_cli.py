"""The command line as a user types it, and the AWS CLI against `stepvec local up`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.local.conftest import photo, wait_until

STEPVEC = ROOT / ".venv" / "bin" / "stepvec"
AWS = ROOT / ".venv" / "bin" / "aws"
WITHOUT_AWS = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def stepvec(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STEPVEC, *map(str, arguments)], env=WITHOUT_AWS, capture_output=True, text=True, timeout=240, check=False
    )


@contextmanager
def local_up(folder: Path, *options: str, **variables: str) -> Iterator[dict[str, str]]:
    """`stepvec local up` with `options` in the background, ended by SIGTERM; yields the variables that it exports."""
    output = folder / "env.sh"
    with output.open("w") as stream:
        process = subprocess.Popen(
            [STEPVEC, "local", "up", *options],
            # Of its own, so that each may have the same name.
            env={**WITHOUT_AWS, "STEPVEC_STATE": str(folder / "state"), **variables},
            stdout=stream,
            stderr=subprocess.PIPE,
        )
        try:
            wait_until(lambda: output.read_text().count("export ") == 14 or process.poll() is not None, seconds=120)
            yield dict(re.findall(r"^export (\w+)=(\S+)$", output.read_text(), re.MULTILINE))
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert not [child for child in children if child.is_running()], "it left processes behind"


def aws(environment: dict[str, str], *arguments: str) -> Any:
    result = subprocess.run(
        [AWS, "--output", "json", *arguments],
        env={**WITHOUT_AWS, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout) if result.stdout.strip().startswith(("{", "[", '"')) else result.stdout


def run_by_aws_cli(environment: dict[str, str], run_input: Any) -> Any:
    """Start an execution without a name, as the console does, and wait for its end."""
    machine = environment["STEPVEC_STATE_MACHINE_ARN"]
    arguments = ("--state-machine-arn", machine, "--input", json.dumps(run_input))
    arn = aws(environment, "stepfunctions", "start-execution", *arguments)["executionArn"]
    found: list[Any] = []

    def has_ended() -> bool:
        found[:] = [aws(environment, "stepfunctions", "describe-execution", "--execution-arn", arn)]
        return bool(found[0]["status"] != "RUNNING")

    wait_until(has_ended)
    return found[0]


def test_the_aws_cli_alone_uploads_runs_and_reads(tmp_path: Path) -> None:
    with local_up(tmp_path) as environment:
        assert environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        keys = [f"{folder}/{name}" for folder in "ab" for name in ("1.jpg", "2.jpg")]
        for number, key in enumerate(keys):
            file = tmp_path / "photo.jpg"
            file.write_bytes(photo(number))
            aws(environment, "s3", "cp", str(file), f"s3://{environment['STEPVEC_IMAGE_BUCKET']}/{key}")
        first = run_by_aws_cli(environment, {"Paths": ["a", "b/"]})
        assert first["status"] == "SUCCEEDED"
        assert json.loads(first["output"])["found"] == 4
        table = environment["STEPVEC_TABLE"]
        rows = aws(environment, "dynamodb", "scan", "--table-name", table)["Items"]
        assert sorted(row["ImageId"]["S"] for row in rows) == keys
        second = run_by_aws_cli(environment, {"Paths": ["a", "b/"]})
        assert json.loads(second["output"])["unchanged"] == 4
        wrong = run_by_aws_cli(environment, {"Paths": "a"})
        assert (wrong["status"], wrong["error"]) == ("FAILED", "InvalidInput")


def test_with_the_upload_trigger_a_copy_is_embedded_by_itself(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo(0))
    with local_up(tmp_path, "--upload-trigger", "--upload-window", "1") as environment:
        target = f"s3://{environment['STEPVEC_IMAGE_BUCKET']}/any/photo.jpg"
        aws(environment, "s3", "cp", str(tmp_path / "photo.jpg"), target)
        count = ("dynamodb", "scan", "--table-name", environment["STEPVEC_TABLE"], "--select", "COUNT")
        wait_until(lambda: aws(environment, *count)["Count"] == 1)


def test_two_can_be_up_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        folder.mkdir()
    with local_up(folders[0]) as first, local_up(folders[1]) as second:
        assert first["AWS_ENDPOINT_URL"] != second["AWS_ENDPOINT_URL"]
        for environment in (first, second):
            assert environment["STEPVEC_IMAGE_BUCKET"] in aws(environment, "s3", "ls")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    for number in range(4):
        (folder / "sub" / f"{number}.jpg").write_bytes(photo(number))
    (folder / "again.jpg").write_bytes(photo(2))
    (folder / "broken.jpg").write_bytes(b"not a photo")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_local_run_writes_report_vectors_failures_and_gallery(photos: Path, tmp_path: Path) -> None:
    result = stepvec("local", "run", photos, "--out", tmp_path, "--max-failures", 1)
    assert result.returncode == 0, result.stderr
    for told in ("listed 6, embedded 5, failed 1", "SUCCEEDED", "gallery.html", "report.json"):
        assert told in result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["listed"], report["embedded"], report["failed"], report["found"]) == (6, 5, 1, 5)
    (failure,) = map(json.loads, (tmp_path / "failures.jsonl").read_text().splitlines())
    assert failure["reason"] == "NotAnImage"
    table = pq.read_table(tmp_path / "vectors.parquet")
    assert table.num_rows == 5
    vectors = {row["key"]: np.array(row["vector"]) for row in table.to_pylist()}
    (again,) = (vector for key, vector in vectors.items() if key.endswith("again.jpg"))
    (original,) = (vector for key, vector in vectors.items() if key.endswith("sub/2.jpg"))
    assert (again == original).all()
    gallery = (tmp_path / "gallery.html").read_text()
    assert gallery.count("data:image/webp;base64,") == 5
    assert "NotAnImage" in gallery
    assert not re.search(r"""(src|href)=["']https?:""", gallery), "the gallery must need nothing but itself"


def test_a_run_that_is_not_complete_ends_with_exit_code_1(photos: Path, tmp_path: Path) -> None:
    result = stepvec("local", "run", photos, "--out", tmp_path)
    assert result.returncode == 1
    assert "MaxFailures is 0" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "report.json").read_text())["complete"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--help"], "local"),
        (["local", "--help"], "no AWS account"),
        (["local", "up", "--help"], "stepvec local exec"),
        (["local", "run", "--help"], "gallery.html"),
        (["weights", "--help"], "--from"),
    ],
)
def test_help_is_there(arguments: list[str], told: str) -> None:
    result = stepvec(*arguments)
    assert result.returncode == 0, result.stderr
    assert told in " ".join((result.stdout + result.stderr).split())
    assert "Traceback" not in result.stderr
