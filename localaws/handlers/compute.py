"""Lambda functions and AWS Batch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from localaws.functions.pool import FunctionLogging
from localaws.handlers.registry import Deployed, Site, handles

_BATCH_ROLE = "AWSServiceRoleForBatch"
_FREE_FORM = frozenset({"Options", "Parameters"})
"""Maps whose keys are the user's: their first letters stay."""


@handles(
    "AWS::Lambda::Function",
    applied={
        "FunctionName",
        "Code",
        "Handler",
        "Runtime",
        "Role",
        "Timeout",
        "MemorySize",
        "Environment",
        "LoggingConfig",
    },
    harmless={"Description", "Architectures", "TracingConfig", "EphemeralStorage", "PackageType"},
)
def function(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a function; one that is not written in Python is left out."""
    runtime = str(properties.get("Runtime", ""))
    if not runtime.startswith("python"):
        site.leave_out(logical_id, "AWS::Lambda::Function", f"runtime {runtime or '(image)'}: only Python runs locally")
        return Deployed(f"not-local-{logical_id}", {"Arn": f"not-local-{logical_id}"})
    name = properties.get("FunctionName") or site.name(logical_id, 64)
    role = properties["Role"]
    site.context.credentials.for_role(role, name, "lambda.amazonaws.com")
    settings = ("Handler", "Runtime", "Role", "Timeout", "MemorySize", "Environment", "Architectures")
    created = site.client("lambda").create_function(
        FunctionName=name,
        Code=_code(properties["Code"]),
        **{key: properties[key] for key in settings if key in properties},
    )
    logging = properties.get("LoggingConfig") or {}
    site.functions.logging[name] = FunctionLogging(
        group=logging.get("LogGroup"),
        log_format=logging.get("LogFormat", "Text"),
        application_level=logging.get("ApplicationLogLevel"),
    )
    return Deployed(name, {"Arn": created["FunctionArn"]})


def _code(code: Mapping[str, Any]) -> dict[str, Any]:
    if "ZipFile" not in code:
        return dict(code)
    # CloudFormation takes source text here and puts it into index.py itself.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code["ZipFile"])
    return {"ZipFile": buffer.getvalue()}


@handles(
    "AWS::Batch::ComputeEnvironment",
    applied={"ComputeEnvironmentName", "State"},
    harmless={
        "Type",
        "ComputeResources",
        "ServiceRole",
        "ReplaceComputeEnvironment",
        "UpdatePolicy",
        "UnmanagedvCpus",
    },
)
def compute_environment(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a compute environment without instances: this machine is the only one."""
    name = properties.get("ComputeEnvironmentName") or site.name(logical_id, 128)
    arn = site.client("batch").create_compute_environment(
        computeEnvironmentName=name,
        type="UNMANAGED",
        state=properties.get("State", "ENABLED"),
        serviceRole=_batch_service_role(site),
    )["computeEnvironmentArn"]
    return Deployed(arn, {"ComputeEnvironmentArn": arn})


def _batch_service_role(site: Site) -> str:
    iam = site.client("iam")
    try:
        role = iam.get_role(RoleName=_BATCH_ROLE)["Role"]
    except iam.exceptions.NoSuchEntityException:
        path = "/aws-service-role/batch.amazonaws.com/"
        role = iam.create_role(RoleName=_BATCH_ROLE, Path=path, AssumeRolePolicyDocument="{}")["Role"]
    return str(role["Arn"])


@handles(
    "AWS::Batch::JobQueue",
    applied={"JobQueueName", "State", "Priority", "ComputeEnvironmentOrder"},
    harmless={"JobStateTimeLimitActions"},
)
def job_queue(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a job queue. Jobs run in the order of submission, whatever the priority."""
    arn = site.client("batch").create_job_queue(
        jobQueueName=properties.get("JobQueueName") or site.name(logical_id, 128),
        state=properties.get("State", "ENABLED"),
        priority=int(properties["Priority"]),
        computeEnvironmentOrder=_camel_case(properties["ComputeEnvironmentOrder"]),
    )["jobQueueArn"]
    return Deployed(arn, {"JobQueueArn": arn})


@handles(
    "AWS::Batch::JobDefinition",
    applied={"JobDefinitionName", "Type", "ContainerProperties", "Parameters", "RetryStrategy", "Timeout"},
    harmless={"PlatformCapabilities", "PropagateTags", "SchedulingPriority"},
)
def job_definition(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Registers a job definition of one container."""
    arn = site.client("batch").register_job_definition(
        jobDefinitionName=properties.get("JobDefinitionName") or site.name(logical_id, 128),
        type="container",
        containerProperties=_container(_camel_case(properties["ContainerProperties"])),
        parameters=properties.get("Parameters", {}),
        retryStrategy=_camel_case(properties.get("RetryStrategy", {})),
        timeout=_camel_case(properties.get("Timeout", {})),
    )["jobDefinitionArn"]
    return Deployed(arn, {"JobDefinitionArn": arn})


def _container(container: dict[str, Any]) -> dict[str, Any]:
    for requirement in container.get("resourceRequirements", []):
        requirement["value"] = str(requirement["value"])
    for variable in container.get("environment", []):
        variable["value"] = str(variable["value"])
    return container


def _camel_case(value: Any) -> Any:
    """CloudFormation's JobRoleArn is the API's jobRoleArn, at every depth."""
    if isinstance(value, list):
        return [_camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key[0].lower() + key[1:]: item if key in _FREE_FORM else _camel_case(item) for key, item in value.items()}
