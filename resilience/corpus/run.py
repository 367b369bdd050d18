"""The corpus as one run on the embedded AWS."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, ROOT, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from resilience.corpus.collect import CorpusFile
from resilience.corpus.encoders import EMBEDDED
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run
from stepvec.runs.layout import S3Uri

RUN: Final = "corpus"
HOURS: Final = 1.0
"""A run that takes longer hangs."""
_UPLOADS: Final = 8


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a run made of the corpus: key to EMBEDDED or reason; keys without an outcome are not in it."""

    by_key: dict[str, str]
    seconds: float
    peak_megabytes: int
    log_bytes: int
    exit_codes: frozenset[int]


def measure_isolated(files: list[CorpusFile]) -> list[dict[str, Any]]:
    """resilience.corpus.isolated_decode's result for each file."""
    return list(_isolated([], "".join(f"{file.path}\n" for file in files)))


def measure_mutations(count: int) -> list[dict[str, Any]]:
    """resilience.corpus.isolated_decode's results for `count` mutations of each seed, one result per 50."""
    return list(_isolated(["--mutations", str(count)], ""))


def _isolated(arguments: list[str], lines: str) -> Iterator[dict[str, Any]]:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "worker_image")))
    result = subprocess.run(
        [str(WORKER_PYTHON), "-m", "resilience.corpus.isolated_decode", *arguments],
        input=lines,
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return map(json.loads, result.stdout.splitlines())


def run_corpus(files: list[CorpusFile]) -> Outcomes:
    """Upload the files, run the state machine on the whole bucket, and read what became of each."""
    with tempfile.TemporaryDirectory(prefix="stepvec-corpus-") as folder:
        synthesize(Path(folder))
        with EmbeddedCloud.start(
            Path(folder), lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=2
        ) as cloud:
            return _run(cloud, files)


def _run(cloud: EmbeddedCloud, files: list[CorpusFile]) -> Outcomes:
    deployment = deployment_of(cloud)
    s3 = cloud.client("s3")
    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(lambda file: _upload(s3, deployment.image_bucket, file), files))
    run = Run(deployment, RUN)
    start = time.monotonic()
    run.start({"Paths": ["/"], "MaxFailures": len(files), "ShardSize": 500})
    while (ended := run.ended()) is None and time.monotonic() - start < HOURS * 3600:
        time.sleep(0.5)
    if ended is None:
        run.stop()
        return Outcomes({}, time.monotonic() - start, 0, 0, frozenset())
    if ended.report is None:
        raise RuntimeError(f"the run ended without a report: {ended.error} {ended.cause}")
    failures = {line["key"]: line["reason"] for line in map(json.loads, run.failures().splitlines())}
    rows = _rows(deployment)
    shard_reports = [_shard_report(deployment, run, shard) for shard in range(ended.report.shards)]
    exit_codes, log_bytes = _jobs(cloud)
    return Outcomes(
        by_key={key: EMBEDDED for key in rows if key not in failures} | failures,
        seconds=time.monotonic() - start,
        peak_megabytes=max(int(report["peak_memory_mb"]) for report in shard_reports),
        log_bytes=log_bytes,
        exit_codes=exit_codes,
    )


def _upload(client: Any, bucket: str, file: CorpusFile) -> None:
    client.put_object(Bucket=bucket, Key=file.key, Body=file.path.read_bytes())


def _rows(deployment: Deployment) -> set[str]:
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=deployment.table, ProjectionExpression="ImageId")
    )
    return {item["ImageId"]["S"] for page in pages for item in page["Items"]}


def _shard_report(deployment: Deployment, run: Run, shard: int) -> dict[str, Any]:
    uri: S3Uri = run.layout.shard_report(shard)
    with ObjectStore(deployment.client("s3")).open(uri) as stream:
        found: dict[str, Any] = json.loads(stream.read())
    return found


def _jobs(cloud: EmbeddedCloud) -> tuple[frozenset[int], int]:
    """Exit codes of all attempts, and the bytes of the worker's logs."""
    batch, logs = cloud.client("batch"), cloud.client("logs")
    queue = batch.describe_job_queues()["jobQueues"][0]["jobQueueArn"]
    ids = [
        summary["jobId"]
        for status in ("SUCCEEDED", "FAILED")
        for summary in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
    ]
    attempts = [attempt["container"] for job in batch.describe_jobs(jobs=ids)["jobs"] for attempt in job["attempts"]]
    written = {attempt["logStreamName"] for attempt in attempts}
    size = 0
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            if stream["logStreamName"] in written:
                size += _log_bytes(logs, name, stream["logStreamName"])
    return frozenset(int(attempt.get("exitCode", -1)) for attempt in attempts), size


def _log_bytes(logs: Any, group: str, stream: str) -> int:
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    return sum(len(event["message"].encode()) for event in events)
