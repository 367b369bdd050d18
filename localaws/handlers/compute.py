"""Lambda functions and AWS Batch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from localaws.functions.pool import FunctionLogging
from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates

_SETTINGS = ("Handler", "Runtime", "Role", "Timeout", "MemorySize", "Environment")
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
    fixed={"FunctionName", "PackageType"},
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
    created = site.client("lambda").create_function(
        FunctionName=name,
        Code=_code(properties["Code"]),
        **{key: properties[key] for key in (*_SETTINGS, "Architectures") if key in properties},
    )
    _set_logging(site, name, properties)
    return Deployed(name, {"Arn": created["FunctionArn"]})


@updates("AWS::Lambda::Function")
def update_function(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes code and settings. What is being invoked ends with what it began with."""
    functions, name = site.client("lambda"), change.name
    site.context.credentials.for_role(change.after["Role"], name, "lambda.amazonaws.com")
    if change.touches("Code"):
        functions.update_function_code(FunctionName=name, **_code(change.after["Code"]))
    settings = {"Environment": {"Variables": {}}} | {key: change.after[key] for key in _SETTINGS if key in change.after}
    functions.update_function_configuration(FunctionName=name, **settings)
    _set_logging(site, name, change.after)
    return change.deployed


@removes("AWS::Lambda::Function")
def remove_function(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a function; its log group stays, as on AWS."""
    site.client("lambda").delete_function(FunctionName=deployed.physical_id)
    site.functions.logging.pop(deployed.physical_id, None)


def _set_logging(site: Site, name: str, properties: Mapping[str, Any]) -> None:
    logging = properties.get("LoggingConfig") or {}
    site.functions.logging[name] = FunctionLogging(
        group=logging.get("LogGroup"),
        log_format=logging.get("LogFormat", "Text"),
        application_level=logging.get("ApplicationLogLevel"),
    )


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
    fixed={"ComputeEnvironmentName", "Type"},
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


@updates("AWS::Batch::ComputeEnvironment")
def update_compute_environment(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes the state, which is all that a compute environment has here."""
    state = change.after.get("State", "ENABLED")
    site.client("batch").update_compute_environment(computeEnvironment=change.name, state=state)
    return change.deployed


@removes("AWS::Batch::ComputeEnvironment")
def remove_compute_environment(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Disables and deletes a compute environment."""
    batch = site.client("batch")
    batch.update_compute_environment(computeEnvironment=deployed.physical_id, state="DISABLED")
    batch.delete_compute_environment(computeEnvironment=deployed.physical_id)


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
    fixed={"JobQueueName"},
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


@updates("AWS::Batch::JobQueue")
def update_job_queue(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes state, priority and compute environments; jobs in the queue stay."""
    site.client("batch").update_job_queue(
        jobQueue=change.name,
        state=change.after.get("State", "ENABLED"),
        priority=int(change.after["Priority"]),
        computeEnvironmentOrder=_camel_case(change.after["ComputeEnvironmentOrder"]),
    )
    return change.deployed


@removes("AWS::Batch::JobQueue")
def remove_job_queue(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Disables and deletes a job queue."""
    batch = site.client("batch")
    batch.update_job_queue(jobQueue=deployed.physical_id, state="DISABLED")
    batch.delete_job_queue(jobQueue=deployed.physical_id)


@handles(
    "AWS::Batch::JobDefinition",
    applied={
        "JobDefinitionName",
        "Type",
        "ContainerProperties",
        "Parameters",
        "RetryStrategy",
        "Timeout",
        "ResourceRetentionPolicy",
    },
    harmless={"PlatformCapabilities", "PropagateTags", "SchedulingPriority"},
    fixed={"JobDefinitionName"},
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


@updates("AWS::Batch::JobDefinition")
def update_job_definition(site: Site, logical_id: str, change: Change) -> Deployed:
    """Registers another revision and deregisters the one before, unless SkipDeregisterOnUpdate keeps it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-batch-jobdefinition-resourceretentionpolicy.html
    """
    deployed = job_definition(site, logical_id, change.after)
    if not (change.after.get("ResourceRetentionPolicy") or {}).get("SkipDeregisterOnUpdate"):
        remove_job_definition(site, change.deployed, change.before)
    return deployed


@removes("AWS::Batch::JobDefinition")
def remove_job_definition(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deregisters the revision: no job can be submitted with it any more."""
    site.client("batch").deregister_job_definition(jobDefinition=deployed.physical_id)


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
