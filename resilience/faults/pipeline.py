"""The pipeline under test, on the embedded AWS behind the proxy: put images in, start runs, read their outcome."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON
from localaws import EmbeddedCloud
from resilience.faults.injector import Injector, Ledger
from resilience.faults.invariants import Observed, Truth
from resilience.faults.proxy import FaultProxy
from stepvec import codec
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run, RunEnd
from stepvec.rows.item import VectorItem, decode_item, encode_item
from stepvec.runs.listing import ListedImage, read_listing
from stepvec.runs.outcome import ImageFailure
from testkit.photos import etag_of

DOWNLOAD_THREADS: Final = 32
"""More than usual: most of them wait for their next attempt."""
_UPLOAD_THREADS: Final = 8
_UNFINISHED: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
_POLL_SECONDS: Final = 0.1
_BEFORE: Final = timedelta(hours=1)


class PipelineUnderTest:
    """One embedded AWS for all scenarios. Each uses a prefix of its own.

    `is_sample` is set where the clean run was of some of the images only.
    """

    def __init__(self, cloud: EmbeddedCloud, injector: Injector, ledger: Ledger) -> None:
        self.cloud = cloud
        self.injector = injector
        self.ledger = ledger
        self.deployment: Deployment = deployment_of(cloud)
        self.etags: dict[str, set[str]] = {}
        self.vectors: dict[str, VectorItem] = {}
        self.is_sample = False
        self.current: Run | None = None
        self._s3 = cloud.client("s3")
        self._store = ObjectStore(self._s3)

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over what is there."""
        self.etags.setdefault(key, set()).add(etag_of(data))
        self._s3.put_object(Bucket=self.deployment.image_bucket, Key=key, Body=data)

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        """Write many objects."""
        with ThreadPoolExecutor(_UPLOAD_THREADS) as pool:
            list(pool.map(self.put, objects.keys(), objects.values()))

    def embedded_before(self, objects: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
        """Leave these objects and their rows as an earlier run would have; the rows by image id, as JSON has them.

        Their vectors are those of the clean run, which has embedded the same bytes.
        """
        self.put_all(objects)
        dynamodb, rows = self.cloud.client("dynamodb"), {}
        for key, data in objects.items():
            clean = self.vectors[etag_of(data)]
            row = replace(clean, image_id=key, key=key, run="before", modified=datetime.now(UTC) - _BEFORE)
            item: Any = encode_item(row)
            dynamodb.put_item(TableName=self.deployment.table, Item=item)
            rows[key] = {**item, "Vector": {"B": base64.b64encode(row.vector).decode()}}
        return rows

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._s3.delete_object(Bucket=self.deployment.image_bucket, Key=key)

    def listing(self, prefix: str) -> dict[str, str]:
        """ETags of the objects under `prefix`, by key."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.deployment.image_bucket, Prefix=f"{prefix}/"
        )
        return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}

    def embed_cleanly(self, prefix: str, objects: Mapping[str, bytes]) -> None:
        """Run without faults, and take its rows for what is right. Raises RuntimeError where it does not complete."""
        self.injector.disarm()
        self.put_all(objects)
        ended = self.run(f"{prefix}-clean", {"Paths": [prefix]})
        if ended.report is None or not ended.report.complete:
            raise RuntimeError(f"the run without faults failed: {ended.error} {ended.cause}")
        for row in map(decode_item, self.rows(prefix)):
            self.vectors[row.etag] = row

    def run(self, name: str, run_input: dict[str, Any]) -> RunEnd:
        """Start an execution and wait for its end."""
        self.start(name, run_input)
        return self.wait()

    def start(self, name: str, run_input: dict[str, Any]) -> Run:
        """Start an execution; it is the current one."""
        self.current = Run(self.deployment, name)
        self.current.start(run_input)
        return self.current

    def wait(self) -> RunEnd:
        """Wait for the current execution's end, and for that of its jobs: a stopped one leaves them behind."""
        if self.current is None:
            raise RuntimeError("no run was started")
        ended = self.current.wait()
        self._wait_for_jobs()
        return ended

    def _wait_for_jobs(self) -> None:
        batch = self.cloud.client("batch")
        (queue,) = batch.describe_job_queues()["jobQueues"]
        while any(
            batch.list_jobs(jobQueue=queue["jobQueueArn"], jobStatus=status)["jobSummaryList"] for status in _UNFINISHED
        ):
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the current execution, as a user does."""
        if self.current is not None:
            self.current.stop()

    def rows(self, prefix: str) -> tuple[Mapping[str, Any], ...]:
        """Every row whose id is under `prefix`, as DynamoDB gives it."""
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self.deployment.table)
        items = (item for page in pages for item in page["Items"])
        return tuple(item for item in items if item["ImageId"]["S"].startswith(f"{prefix}/"))

    def indexed(self, prefix: str) -> tuple[Mapping[str, Any], ...] | None:
        """Every vector of the index whose image id is under `prefix`; None where there is no index."""
        if not self.deployment.vector_index:
            return None
        pages = (
            self.cloud.client("s3vectors")
            .get_paginator("list_vectors")
            .paginate(indexArn=self.deployment.vector_index, returnData=True, returnMetadata=True)
        )
        found = (vector for page in pages for vector in page["vectors"])
        return tuple(vector for vector in found if vector["key"].startswith(f"{prefix}/"))

    def observe(self, prefix: str, ended: RunEnd) -> Observed:
        """What the run under `prefix` left."""
        layout = Run(self.deployment, ended.run).layout
        listed: list[ListedImage] = []
        number = 0
        while self._store.exists(uri := layout.listing(number)):
            with self._store.open(uri) as stream:
                listed += read_listing(stream, where=str(uri))
            number += 1
        failures: list[ImageFailure] = []
        if ended.report is not None:
            with self._store.open(layout.failures) as stream:
                lines = stream.read().splitlines()
            failures = [codec.from_json(ImageFailure, line, where="failures.jsonl") for line in lines]
        return Observed(
            run=ended.run,
            status=ended.status,
            listed=tuple(listed),
            rows=self.rows(prefix),
            failures=tuple(failures),
            report=ended.report,
            vectors=self.indexed(prefix),
        )

    def truth(self) -> Truth:
        """What is known of the images so far."""
        model = next(iter(self.vectors.values())).model
        return Truth(model=model, vectors=self.vectors, etags=self.etags, is_sample=self.is_sample)


@contextmanager
def open_pipeline(
    assembly: Path, seed: int, *, slots: int = 2, ledger: Ledger | None = None
) -> Iterator[PipelineUnderTest]:
    """The embedded AWS with the pipeline of `assembly`, its processes and state machine behind a proxy."""
    ledger = ledger or Ledger()
    injector = Injector(seed, ledger)
    proxies: list[FaultProxy] = []
    clouds: list[EmbeddedCloud] = []

    def stand_between(url: str) -> str:
        proxies.append(FaultProxy(url, injector, lambda key: clouds[0].role_of(key) if clouds else ""))
        return proxies[0].url

    try:
        with EmbeddedCloud.start(
            assembly,
            lambda_python=LAMBDA_PYTHON,
            worker_python=WORKER_PYTHON,
            slots=slots,
            environment={
                "STEPVEC_PROGRESS_SECONDS": "0.5",
                "STEPVEC_DOWNLOAD_THREADS": str(DOWNLOAD_THREADS),
            },
            proxy=stand_between,
        ) as cloud:
            clouds.append(cloud)
            yield PipelineUnderTest(cloud, injector, ledger)
    finally:
        for proxy in proxies:
            proxy.close()
