"""Runs of one Lambda function for the listing benchmark: its input, and what a run took."""

from __future__ import annotations

import csv
import gzip
import io
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from bench.function_process import run_in_lambda
from testkit.storage.client import WORK_BUCKET, Storage
from testkit.storage.synthetic import BUCKET, etag_of, key_of, size_of

PREFIX: Final = "images"
INVENTORY_ROWS: Final = 250_000
"""Rows of one file of the inventory."""


@dataclass(frozen=True, slots=True)
class Took:
    """What the rounds of one function took on `keys` keys, and their last answer."""

    keys: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    rounds: int
    storage_seconds: float
    answer: Any

    @property
    def keys_per_second(self) -> float:
        """Keys a second of the function's own CPU time."""
        return self.keys / self.cpu_seconds

    @property
    def microseconds(self) -> float:
        """CPU microseconds a key."""
        return self.cpu_seconds / self.keys * 1e6


def put_inventory(storage: Storage, keys: int) -> str:
    """Write an S3 Inventory of `keys` images in CSV; the URI of its manifest.json."""
    names = []
    for first in range(0, keys, INVENTORY_ROWS):
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number in range(first, min(first + INVENTORY_ROWS, keys)):
            name = urllib.parse.quote_plus(key_of(number))
            writer.writerow([f"{BUCKET}{keys}", name, size_of(number), etag_of(number)])
        names.append(f"inventory/{keys}/{first}.csv.gz")
        storage.put(WORK_BUCKET, names[-1], gzip.compress(text.getvalue().encode(), compresslevel=5))
    manifest = {
        "sourceBucket": f"{BUCKET}{keys}",
        "destinationBucket": f"arn:aws:s3:::{WORK_BUCKET}",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, ETag",
        "files": [{"key": name} for name in names],
    }
    storage.put(WORK_BUCKET, f"inventory/{keys}/manifest.json", json.dumps(manifest).encode())
    return f"s3://{WORK_BUCKET}/inventory/{keys}/manifest.json"


def run_function(storage: Storage, function: str, event: Any, *, keys: int, table: str) -> Took:
    """Run `function`'s rounds from `event` on, in the environment that its Lambda function would have."""
    before = storage.counts().cpu_seconds
    result = run_in_lambda(storage, "bench.listing_rounds", function, event, keys=keys, table=table)
    return Took(
        keys=keys, storage_seconds=storage.counts().cpu_seconds - before, answer=result["answer"], **result["measured"]
    )
