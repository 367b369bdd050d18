"""The stand-in as the bench sees it: started, asked for its counts and rows, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_pipeline.installation import ROOT
from testkit.storage.server import CONTROL, HOST, Latency

IMAGE_BUCKET: Final = "bench-images"
WORK_BUCKET: Final = "bench-work"
TABLE: Final = "bench-vectors"
_REQUEST_SECONDS: Final = 60
AT_ONCE: Final = Latency()
REALISTIC: Final = Latency(s3=0.015, dynamodb=0.005)
"""Seconds until S3 and DynamoDB answer, assumed for a small object or row within a region."""


@dataclass(frozen=True, slots=True)
class StorageCounts:
    """Requests by name, (monotonic time, rows) of each write, and the stand-in's own CPU seconds, since a reset."""

    requests: Mapping[str, int]
    stored: tuple[tuple[float, int], ...]
    cpu_seconds: float


class Storage:
    """A running stand-in. `pid` is its process's."""

    def __init__(self, port: int, pid: int) -> None:
        self.pid = pid
        self.endpoint = f"http://{HOST}:{port}"
        self.environment: Final = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reset(self) -> None:
        """Forget rows and counts; objects stay."""
        self._ask("reset")

    def counts(self) -> StorageCounts:
        """What was asked since the last reset."""
        answer = self._ask("counts")
        stored = tuple((float(when), int(rows)) for when, rows in answer["stored"])
        return StorageCounts(answer["requests"], stored, answer["cpu_seconds"])

    def rows(self) -> dict[str, Any]:
        """The rows of TABLE by image id, in DynamoDB's wire format (bytes as base64)."""
        rows: dict[str, Any] = self._ask(f"rows/{TABLE}")
        return rows

    def put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Put an object; `key` as a URL has it."""
        url = f"{self.endpoint}/{bucket}/{key}"
        request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method="PUT")  # noqa: S310 - http
        urllib.request.urlopen(request, timeout=_REQUEST_SECONDS).close()  # noqa: S310

    def _ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.endpoint}{CONTROL}{what}", timeout=_REQUEST_SECONDS) as answer:  # noqa: S310 - http, ours
            return json.load(answer)


@contextmanager
def running_storage(photos: Path | None = None, *, copies: int = 1, latency: Latency = AT_ONCE) -> Iterator[Storage]:
    """The stand-in with the files of `photos` in IMAGE_BUCKET, `copies` times."""
    command = [sys.executable, "-m", "testkit.storage.server", "--s3-latency", str(latency.s3)]
    command += ["--dynamodb-latency", str(latency.dynamodb)]
    if photos is not None:
        command += ["--bucket", IMAGE_BUCKET, "--photos", str(photos), "--copies", str(copies)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin  # noqa: S101 - for mypy: both are pipes
        assert process.stdout  # noqa: S101
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"The storage stand-in ended with {process.wait()}.")
            yield Storage(int(line), process.pid)
        finally:
            process.stdin.close()
            process.wait(timeout=10)
