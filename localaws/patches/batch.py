"""Patches of moto's Batch: jobs are local processes, described as AWS describes them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.batch import models
from moto.batch.models import BatchBackend, Job
from moto.batch.responses import BatchResponse

from localaws.batch.container import job_vcpus
from localaws.batch.runner import JobRunner
from localaws.context import current

_submission = threading.local()


def run_jobs_as_processes() -> None:
    """moto runs a container by Docker, once: no attempts, no exit codes, no SIGTERM, no live logs."""

    def run(job: Any) -> None:
        strategy = getattr(job, "retry_strategy", None) or job.job_definition.retry_strategy or {}
        JobRunner(current(), job, strategy).run()

    Job.run = run


def keep_retry_strategy_of_submission() -> None:
    """moto drops the retryStrategy that SubmitJob gives."""
    submit_job, create = BatchResponse.submitjob, Job.__init__

    def submitjob(response: Any) -> Any:
        _submission.retry_strategy = response._get_param("retryStrategy")
        try:
            return submit_job(response)
        finally:
            _submission.retry_strategy = None

    def init(job: Any, *arguments: Any, **keywords: Any) -> None:
        job.retry_strategy = getattr(_submission, "retry_strategy", None)
        create(job, *arguments, **keywords)

    BatchResponse.submitjob = submitjob
    Job.__init__ = init


def describe_jobs_by_id() -> None:
    """moto walks the live dict of all jobs, which fails while another thread submits one, and is slow."""

    def describe_jobs(backend: Any, jobs: list[str] | None) -> list[dict[str, Any]]:
        known = [backend._jobs.get(job.rsplit("/", 1)[-1]) for job in jobs or []]
        return [job.describe() for job in known if job is not None]

    BatchBackend.describe_jobs = describe_jobs


def describe_container() -> None:
    """moto leaves out exitCode and logStreamName's siblings, and adds a variable at each call."""

    def container_details(job: Any) -> dict[str, Any]:
        properties: Mapping[str, Any] = job.job_definition.container_properties or {}
        overrides: Mapping[str, Any] = job.container_overrides
        environment = {
            variable["name"]: variable["value"]
            for variable in [*(properties.get("environment") or []), *(overrides.get("environment") or [])]
        }
        details = {
            "image": properties["image"],
            "command": overrides.get("command") or properties.get("command") or [],
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "jobRoleArn": properties.get("jobRoleArn"),
            "executionRoleArn": properties.get("executionRoleArn"),
            "resourceRequirements": overrides.get("resourceRequirements")
            or properties.get("resourceRequirements")
            or [],
            "vcpus": int(job_vcpus(job)),
            "memory": job._get_container_property("memory", 512),
            "exitCode": job.exit_code,
            "logStreamName": job.log_stream_name,
        }
        return {name: value for name, value in details.items() if value is not None}

    Job._container_details = container_details


def take_short_job_names() -> None:
    """AWS takes job names of 1 to 128 characters; moto wants two."""
    models.JOB_NAME_REGEX = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "batch_processes": run_jobs_as_processes,
    "batch_submitted_retry_strategy": keep_retry_strategy_of_submission,
    "batch_describe_jobs": describe_jobs_by_id,
    "batch_short_job_names": take_short_job_names,
    "batch_container_details": describe_container,
}
