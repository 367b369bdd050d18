"""The whole pipeline on the embedded AWS, deployed once for all tests of this folder."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON
from localaws import EmbeddedCloud
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run, RunEnd
from stepvec.rows.item import VectorItem, decode_item

SLOTS = 2
_numbers = itertools.count()


@dataclass(frozen=True)
class Finished:
    """An execution that ended."""

    ended: RunEnd
    failures: list[dict[str, Any]]

    @property
    def status(self) -> str:
        return self.ended.status

    @property
    def report(self) -> Any:
        assert self.ended.report is not None, f"no report: {self.ended.error} {self.ended.cause}"
        return self.ended.report

    def counts(self) -> dict[str, int]:
        """The outcomes that are not 0."""
        report = self.report
        names = ("embedded", "unchanged", "failed", "failed_before", "missing")
        assert report.listed == sum(getattr(report, name) for name in names)
        return {name: getattr(report, name) for name in names if getattr(report, name)}


def _run_name() -> str:
    """Of no other run, nor of one in another process of these tests."""
    return f"run-{os.getpid()}-{next(_numbers)}"


class Pipeline:
    """What a user does with a deployment."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.deployment: Deployment = deployment_of(cloud)
        self.s3 = cloud.client("s3")
        self.dynamodb = cloud.client("dynamodb")

    def client_environment(self) -> dict[str, str]:
        """The variables with which a client finds this deployment, and nothing of the machine's own."""
        return {
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.cloud.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.cloud.secret_access_key,
            "AWS_DEFAULT_REGION": self.cloud.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def folder(self) -> str:
        """A prefix of the image bucket that no other test uses."""
        return f"test-{next(_numbers)}"

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.deployment.image_bucket, Key=key, Body=body)

    def run(self, run_input: Any, *, name: str | None = None) -> Finished:
        """Start an execution and wait for its end."""
        run = Run(self.deployment, name or _run_name())
        run.start(run_input)
        ended = run.wait()
        lines = run.failures().splitlines() if ended.report else []
        return Finished(ended, [json.loads(line) for line in lines])

    def start(self, run_input: Any) -> Run:
        run = Run(self.deployment, _run_name())
        run.start(run_input)
        return run

    def row(self, image_id: str) -> VectorItem:
        item = self.dynamodb.get_item(TableName=self.deployment.table, Key={"ImageId": {"S": image_id}}).get("Item")
        assert item, f"no row {image_id!r}"
        return decode_item(item)

    def has_row(self, image_id: str) -> bool:
        return "Item" in self.dynamodb.get_item(TableName=self.deployment.table, Key={"ImageId": {"S": image_id}})

    def delete_row(self, image_id: str) -> None:
        self.dynamodb.delete_item(TableName=self.deployment.table, Key={"ImageId": {"S": image_id}})


@pytest.fixture(scope="package")
def pipeline(assembly: Path) -> Iterator[Pipeline]:
    with EmbeddedCloud.start(
        assembly,
        lambda_python=LAMBDA_PYTHON,
        worker_python=WORKER_PYTHON,
        slots=SLOTS,
        environment={"STEPVEC_PROGRESS_SECONDS": "0.1"},
    ) as cloud:
        yield Pipeline(cloud)


def photo(seed: int, *, size: tuple[int, int] = (160, 120), kind: str = "JPEG", **options: Any) -> bytes:
    """A picture of its own for each seed: smooth colours, so that JPEG keeps them."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(buffer, kind, **options)
    return buffer.getvalue()


def wait_until(condition: Any, *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
