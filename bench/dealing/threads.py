"""Batch jobs of the embedded AWS as threads of its own, by the stand-in: what a process takes to start is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepvec_worker.settings import Settings

from bench.dealing.job import QueueJob
from bench.dealing.shard_work import StandIn, work_on
from localaws import EmbeddedCloud
from localaws.batch.container import Container
from localaws.batch.retry import AttemptEnd
from localaws.batch.runner import ENDED, JobRunner
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.runs.layout import parse_shard_uri

RUN = "run"


@contextmanager
def jobs_in_threads(cloud: EmbeddedCloud) -> Iterator[None]:
    """Within the block each attempt at a job runs in the job's thread of the embedded AWS, over real requests to it."""
    attempt: Any = JobRunner._attempt

    def run_here(runner: Any, container: Container, number: int) -> AttemptEnd:  # noqa: ARG001 - as _attempt has it
        job = runner._job
        job.become_starting(container.new_log_stream_name())
        job.become_running()
        _run(cloud, container)
        job.end_attempt(0, ENDED)
        return AttemptEnd(0, reason="", status_reason=ENDED)

    JobRunner._attempt = run_here  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        JobRunner._attempt = attempt  # type: ignore[method-assign]


def _run(cloud: EmbeddedCloud, container: Container) -> None:
    settings = read_environment(Settings, container.environment)
    store, work = ObjectStore(cloud.client("s3")), StandIn(settings, RUN, cloud.client("dynamodb"))
    words = container.command
    if "--shard" in words:
        uri = words[words.index("--shard") + 1]
        parse_shard_uri(uri)
        work_on(store, settings, uri, work)
    else:
        arguments = words[words.index("--queue") :]
        QueueJob.parse(arguments).run(cloud.client("sqs"), store, settings, lambda _: work)
