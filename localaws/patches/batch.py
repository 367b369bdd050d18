"""Patches of moto's Batch: jobs are local processes, described as AWS describes them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from moto.batch import models
from moto.batch.exceptions import ClientException
from moto.batch.models import BatchBackend, Job, batch_backends
from moto.batch.responses import BatchResponse
from moto.batch.utils import JobStatus

from localaws.batch.runner import JobRunner
from localaws.log_stream import LogSink
from localaws.patches.moto_state import MotoLogs
from localaws.patches.running import current

_submission = threading.local()


class MotoJob:
    """moto's job, as the runner sees and changes it (`localaws.batch.job.Job`)."""

    def __init__(self, job: Any) -> None:
        definition = job.job_definition
        environments = job.job_queue.environments
        self._job = job
        self.job_id: str = job.job_id
        self.name: str = job.job_name
        self.definition: str = definition.name
        self.container: Mapping[str, Any] | None = definition.container_properties
        self.overrides: Mapping[str, Any] = job.container_overrides
        self.parameters: Mapping[str, str] = job.parameters
        self.queue: str = job.job_queue.name
        self.compute_environment = str(environments[0].name) if environments else "local"
        self.array = _array_of(job)
        self.vcpus = job_vcpus(job)
        self.retry_strategy: Mapping[str, Any] = getattr(job, "retry_strategy", None) or definition.retry_strategy or {}
        self.attempt_seconds: float | None = job._get_attempt_duration()
        self.logs: LogSink = MotoLogs(job._log_backend)

    @property
    def stopped_reason(self) -> str | None:
        """Why somebody ended the job; None while nobody did."""
        return (self._job.job_stopped_reason or "Terminated") if self._job.stop else None

    @property
    def is_host_lost(self) -> bool:
        """Whether the host under the attempt is gone."""
        return getattr(self._job, "host_lost", False)

    def wait_for_dependencies(self) -> bool:
        """Waits for the jobs that it depends on; False when it has failed with one of them."""
        return not self._job.depends_on or self._job._wait_for_dependencies()

    def become_runnable(self) -> None:
        """It waits for a place (again)."""
        self._job.host_lost = False
        self._job._status = JobStatus.RUNNABLE

    def become_starting(self, log_stream: str) -> None:
        """An attempt starts, with this log stream."""
        self._job._status = JobStatus.STARTING
        self._job.log_stream_name = log_stream

    def become_running(self) -> None:
        """The attempt's process runs."""
        self._job.job_started_at = datetime.now()
        self._job._start_attempt()
        self._job._status = JobStatus.RUNNING

    def end_attempt(self, exit_code: int | None, status_reason: str) -> None:
        """The attempt's process has ended."""
        job = self._job
        job.exit_code = exit_code
        job.job_stopped_at = datetime.now()
        job.latest_attempt["container"].update(exitCode=exit_code, logStreamName=job.log_stream_name)
        job.latest_attempt["statusReason"] = job.job_stopped_reason = status_reason
        job._stop_attempt()

    def finish(self, *, succeeded: bool, status_reason: str | None = None) -> None:
        """The job's end."""
        if status_reason is not None:
            self._job.job_stopped_reason = status_reason
        self._job._mark_stopped(success=succeeded)


def _array_of(job: Any) -> tuple[int, int] | None:
    if "index" not in job.array_properties:
        return None
    parent = job.backend._jobs[job.job_id.rsplit(":", 1)[0]]
    return int(job.array_properties["index"]), int(parent.array_properties["size"])


def job_vcpus(job: Any) -> float:
    """How many vCPUs moto's job asks for."""
    for requirement in job.container_overrides.get("resourceRequirements") or []:
        if requirement["type"] == "VCPU":
            return float(requirement["value"])
    override = job.container_overrides.get("vcpus")
    return float(override or job.job_definition._get_resource_requirement("vcpus", 1))


def lose_host(account: str, region: str, job_id: str) -> None:
    """Ends the host under a running job, as a Spot interruption does. Nothing happens to a job that does not run."""
    job = batch_backends[account][region]._jobs.get(job_id)
    if job is not None:
        job.host_lost = True


def run_jobs_as_processes() -> None:
    """moto runs a container by Docker, once: no attempts, no exit codes, no SIGTERM, no live logs."""

    def run(job: Any) -> None:
        JobRunner(current().batch, MotoJob(job)).run()

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


def refuse_inactive_definitions() -> None:
    """A revision that was deregistered starts no more jobs on AWS; in moto it does."""
    original = BatchBackend.submit_job

    def submit_job(backend: Any, job_name: str, job_def_id: str, *arguments: Any, **keywords: Any) -> Any:
        definition = backend.get_job_definition(job_def_id)
        if definition is not None and definition.status == "INACTIVE":
            raise ClientException(f"Job definition {job_def_id} is not ACTIVE")
        return original(backend, job_name, job_def_id, *arguments, **keywords)

    BatchBackend.submit_job = submit_job


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "batch_processes": run_jobs_as_processes,
    "batch_submitted_retry_strategy": keep_retry_strategy_of_submission,
    "batch_describe_jobs": describe_jobs_by_id,
    "batch_inactive_definitions": refuse_inactive_definitions,
    "batch_short_job_names": take_short_job_names,
    "batch_container_details": describe_container,
}
