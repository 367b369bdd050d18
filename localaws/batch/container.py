"""A Batch job's container, locally: a command, an environment and a log stream."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localaws.batch.dockerfile import image_command
from localaws.batch.job import BatchHost, Job
from localaws.errors import ImageError, LocalCloudError

_REFERENCE: Final = re.compile(r"Ref::([\w-]+)")
_DEFAULT_GROUP: Final = "/aws/batch/job"

ATTEMPT_VARIABLE: Final = "AWS_BATCH_JOB_ATTEMPT"
"""Set for each attempt."""


@dataclass(frozen=True, slots=True)
class Container:
    """How to start the process of one job."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    log_group: str
    log_prefix: str

    def new_log_stream_name(self) -> str:
        """A name for one attempt's log stream, in the form that AWS Batch gives it."""
        return f"{self.log_prefix}/default/{uuid.uuid4().hex}"


def prepare_container(host: BatchHost, job: Job) -> Container:
    """What `job` runs. Raises LocalCloudError when it cannot run here."""
    properties = job.container
    if properties is None:
        raise LocalCloudError(f"Job {job.name} has no container.", remedy="Only single-container jobs run locally.")
    image = host.images.get(properties["image"].rsplit(":", 1)[-1])
    if image is None:
        raise ImageError(
            f"Image {properties['image']} is not an asset of this cloud assembly.",
            remedy="Build it from a folder of the CDK app (ContainerImage.from_asset).",
        )
    arguments = job_arguments(properties, job.overrides, job.parameters)
    options = (properties.get("logConfiguration") or {}).get("options") or {}
    engine = host.container_engine
    # A real container has the Dockerfile's ENV from its image.
    environment = _environment(host, job, properties, {} if engine else dict(image.environment))
    return Container(
        command=(
            engine.command(arguments, [*environment, ATTEMPT_VARIABLE])
            if engine
            else image_command(image, arguments, host.worker_python)
        ),
        folder=image.folder,
        environment=environment,
        log_group=options.get("awslogs-group", _DEFAULT_GROUP),
        log_prefix=options.get("awslogs-stream-prefix", job.definition),
    )


def job_arguments(
    properties: Mapping[str, Any], overrides: Mapping[str, Any], parameters: Mapping[str, str]
) -> list[str]:
    """The job's command, each Ref::name replaced by the parameter of that name (left as it is without one)."""
    command = overrides.get("command") or properties.get("command") or []

    def value(match: re.Match[str]) -> str:
        return str(parameters.get(match[1], match[0]))

    return [_REFERENCE.sub(value, word) for word in command]


def _environment(
    host: BatchHost, job: Job, properties: Mapping[str, Any], image_environment: Mapping[str, str]
) -> dict[str, str]:
    role = properties.get("jobRoleArn")
    if not role:
        raise LocalCloudError(
            f"Job definition {job.definition} has no jobRoleArn.",
            remedy="Give the container a job role: locally there is no instance role to fall back on.",
        )
    variables = [*(properties.get("environment") or []), *(job.overrides.get("environment") or [])]
    session = job.job_id.replace(":", "-")
    home = host.context.work_directory / "jobs" / session
    home.mkdir(parents=True, exist_ok=True)
    return host.context.environment(
        role,
        session=session[:64],
        service="ecs-tasks.amazonaws.com",
        home=home,
        template=dict(image_environment) | {variable["name"]: str(variable["value"]) for variable in variables},
        service_variables=_service_variables(job),
    )


def _service_variables(job: Job) -> dict[str, str]:
    """What AWS Batch sets, and ECS's agent; the attempt's number comes with the attempt. No region: ECS sets none.

    https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
    """
    variables = {
        "AWS_BATCH_CE_NAME": job.compute_environment,
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JQ_NAME": job.queue,
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
    }
    if job.array is None:
        return variables
    index, size = job.array
    return {**variables, "AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}
