"""Runs of one Lambda function for the listing benchmark: the server, the function's environment, what a run took."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.listing_server import IMAGE_BUCKET
from bench.synthetic_images import MODEL, etag_of, key_of, size_of
from local_pipeline.installation import LAMBDA_PYTHON, ROOT

WORK_BUCKET: Final = "work"
PREFIX: Final = "images"
SHARD_SIZE: Final = 5_000
INVENTORY_ROWS: Final = 250_000
"""Rows of one file of the inventory."""
_LOCAL_REQUEST_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Took:
    """What the rounds of one function took on `keys` keys, and their last answer."""

    keys: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    rounds: int
    server_seconds: float
    answer: Any

    @property
    def keys_per_second(self) -> float:
        """Keys a second of the function's own CPU time."""
        return self.keys / self.cpu_seconds

    @property
    def microseconds(self) -> float:
        """CPU microseconds a key."""
        return self.cpu_seconds / self.keys * 1e6


class Server:
    """The lean S3 and DynamoDB, running."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def cpu_seconds(self) -> float:
        """CPU seconds that the server has used."""
        url = f"{self.url}/cpu-seconds"
        with urllib.request.urlopen(url, timeout=_LOCAL_REQUEST_SECONDS) as answer:  # noqa: S310 - http
            return float(answer.read())

    def put(self, key: str, body: bytes) -> None:
        """Write a file into the work bucket."""
        request = urllib.request.Request(f"{self.url}/{WORK_BUCKET}/{key}", data=body, method="PUT")  # noqa: S310 - http
        urllib.request.urlopen(request, timeout=_LOCAL_REQUEST_SECONDS).close()  # noqa: S310 - http

    def put_inventory(self, keys: int) -> str:
        """Write an S3 Inventory of `keys` images in CSV; the URI of its manifest.json."""
        names = []
        for first in range(0, keys, INVENTORY_ROWS):
            text = io.StringIO()
            writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
            for number in range(first, min(first + INVENTORY_ROWS, keys)):
                name = urllib.parse.quote_plus(key_of(number))
                writer.writerow([f"{IMAGE_BUCKET}{keys}", name, size_of(number), etag_of(number)])
            names.append(f"inventory/{keys}/{first}.csv.gz")
            self.put(names[-1], gzip.compress(text.getvalue().encode(), compresslevel=5))
        manifest = {
            "sourceBucket": f"{IMAGE_BUCKET}{keys}",
            "destinationBucket": f"arn:aws:s3:::{WORK_BUCKET}",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size, ETag",
            "files": [{"key": name} for name in names],
        }
        self.put(f"inventory/{keys}/manifest.json", json.dumps(manifest).encode())
        return f"s3://{WORK_BUCKET}/inventory/{keys}/manifest.json"


@contextmanager
def serving() -> Iterator[Server]:
    """The server in a process of its own, ended afterwards."""
    command = [sys.executable, "-m", "bench.listing_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            yield Server(int(process.stdout.readline()))
        finally:
            process.terminate()


def run_function(server: Server, function: str, event: Any, *, keys: int, table: str) -> Took:
    """Run `function`'s rounds from `event` on, in the environment that its Lambda function would have."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'build' / 'lambda-packages'}",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "STEPVEC_IMAGE_BUCKET": f"{IMAGE_BUCKET}{keys}",
        "STEPVEC_WORK_BUCKET": WORK_BUCKET,
        "STEPVEC_SHARD_SIZE": str(SHARD_SIZE),
        "STEPVEC_TABLE": table,
        "STEPVEC_MODEL": MODEL,
    }
    before = server.cpu_seconds()
    process = subprocess.run(
        [str(LAMBDA_PYTHON), "-m", "bench.listing_rounds", function],
        cwd=ROOT,
        env=environment,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"{function} failed on {keys:,} keys:\n{process.stderr[-2000:]}")
    result = json.loads(process.stdout)
    return Took(keys=keys, server_seconds=server.cpu_seconds() - before, answer=result["answer"], **result["measured"])
