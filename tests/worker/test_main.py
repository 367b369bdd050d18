"""The worker as Batch starts it: a process, and nothing in its environment but what is documented."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepvec.exit_codes import DO_NOT_RETRY
from tests.worker import scripted_s3 as s3

ROOT = Path(__file__).resolve().parents[2]
INPUT = "/work/runs/r/input.json"


def run_worker(**environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/dev/null",
        "STEPVEC_IMAGE_BUCKET": "images",
        "STEPVEC_TABLE": "table",
        "STEPVEC_MODEL": "resnet18_v2/a81db45fd7b7/standard-1",
        **environment,
    }
    command = [sys.executable, "-m", "stepvec_worker", "--shard", "s3://work/runs/r/shards/0.jsonl.gz"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    "regions",
    [
        {"AWS_REGION": "eu-north-1"},
        {"AWS_DEFAULT_REGION": "eu-north-1"},
        {"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-south-1"},
    ],
    ids=lambda regions: "+".join(regions),
)
def test_either_variable_names_the_region(regions: dict[str, str]) -> None:
    with s3.scripted_s3() as server:
        server.answers[INPUT] = [s3.error(403, "AccessDenied")]
        ended = run_worker(AWS_ENDPOINT_URL=server.url, **regions)
    assert server.targets == [INPUT]
    assert "/eu-north-1/s3/aws4_request" in server.requests[0]
    assert ended.returncode == DO_NOT_RETRY


def test_without_a_region_the_worker_says_so_in_one_line_and_is_not_retried() -> None:
    ended = run_worker()
    assert ended.returncode == DO_NOT_RETRY
    (line,) = ended.stdout.splitlines()
    assert "No AWS region is set" in line
    assert "deploy the pipeline stack again" in line
    assert not ended.stderr
