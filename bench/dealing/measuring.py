"""One run, dealt one way, on an embedded AWS of its own: what it took, a shard."""

from __future__ import annotations

import json
import os
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.dealing.machine import allow_everything, make_machine
from bench.dealing.shard_queue import make_queue
from bench.dealing.threads import RUN, jobs_in_threads
from local_pipeline.cloud import deployment_of
from local_pipeline.installation import LAMBDA_PYTHON, ROOT, WORKER_PYTHON
from localaws import EmbeddedCloud
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.runs.layout import RunLayout
from stepvec.runs.reports import RunReport
from testkit.photos import picture
from testkit.processes import cpu_of_tree

MAP, QUEUE = "map", "queue"
PREFIX: Final = "tiny"
PHOTO: Final = (32, 32)
POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Took:
    """What a run of `shards` shards of one photo each took.

    seconds: by the clock, from the start of the execution to its end. cpu_seconds: of everything on this machine that
    belongs to it, the embedded AWS included.
    """

    shards: int
    seconds: float
    cpu_seconds: float


def measure(assembly: Path, folder: Path, way: str, shards: int, *, jobs: int, with_network: bool) -> Took:
    """Run `shards` shards, `jobs` at a time. Raises RuntimeError unless each has its row."""
    python = WORKER_PYTHON if way == MAP else _job_python(folder / "python")
    with (
        EmbeddedCloud.start(assembly, lambda_python=LAMBDA_PYTHON, worker_python=python, slots=jobs) as cloud,
        nullcontext() if with_network else jobs_in_threads(cloud),
    ):
        deployment = deployment_of(cloud)
        _upload(deployment, shards)
        machine = deployment.state_machine_arn
        if way == QUEUE:
            allow_everything(deployment.client("iam"), _job_role(deployment))
            queue = make_queue(deployment.client("sqs"), "bench-shards")
            machine = make_machine(deployment, queue, jobs)
        before, start = cpu_of_tree(os.getpid()), time.perf_counter()
        _run(deployment, machine, shards)
        return Took(shards, time.perf_counter() - start, cpu_of_tree(os.getpid()) - before)


def _job_python(script: Path) -> Path:
    """A program that takes `-m stepvec_worker ARGUMENTS`, as the image's entry point has it, and runs our job."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "worker_image")])
    command = f"PYTHONPATH={shlex.quote(path)} exec {shlex.quote(str(WORKER_PYTHON))} -m bench.dealing.job"
    script.write_text(f'#!/bin/sh\nshift 2\n{command} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script


def _upload(deployment: Deployment, shards: int) -> None:
    photo, s3 = picture(1, size=PHOTO), deployment.client("s3")
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda number: s3.put_object(
                    Bucket=deployment.image_bucket, Key=f"{PREFIX}/{number:05}.jpg", Body=photo
                ),
                range(shards),
            )
        )


def _job_role(deployment: Deployment) -> str:
    definitions = deployment.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    return str(definitions[0]["containerProperties"]["jobRoleArn"]).rpartition("/")[2]


def _run(deployment: Deployment, machine: str, shards: int) -> None:
    states: Any = deployment.client("stepfunctions")
    request = {"Paths": [PREFIX], "ShardSize": 1}
    arn = states.start_execution(stateMachineArn=machine, name=RUN, input=json.dumps(request))["executionArn"]
    while (ended := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(POLL_SECONDS)
    if ended["status"] != "SUCCEEDED":
        raise RuntimeError(f"the run failed: {ended.get('error')} {ended.get('cause')}")
    store = ObjectStore(deployment.client("s3"))
    report = store.read_record(RunReport, RunLayout(deployment.work_bucket, RUN).report)
    if (report.embedded, report.found, report.shards, report.missing) != (shards, shards, shards, 0):
        raise RuntimeError(f"not every shard has its row: {report.message}")
