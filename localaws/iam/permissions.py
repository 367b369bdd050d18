"""Which permissions an operation needs on AWS: action, resource ARN and condition keys.

From the service authorization reference: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote

from localaws.iam.authorizer import Authorizer
from localaws.iam.credentials import as_list
from localaws.iam.policy import Requirement
from localaws.iam.requests import Operation
from localaws.iam.s3_permissions import s3_requirements

NEVER_CHECKED: Final = frozenset({"sts:GetCallerIdentity"})
"""AWS allows it to everybody, even against an explicit Deny."""

MANAGED_RULE_ACTIONS: Final = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
"""https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html"""


def requirements_of(operation: Operation, account: str, region: str) -> list[Requirement]:
    """Every permission that `operation` needs; none when AWS checks none."""
    if f"{operation.service}:{operation.name}" in NEVER_CHECKED:
        return []
    if operation.service == "s3":
        return list(s3_requirements(operation))
    action = f"{operation.service}:{_ACTION_NAMES.get((operation.service, operation.name), operation.name)}"
    find = _RESOURCES.get(operation.service)
    resources = list(find(operation, f"{region}:{account}")) if find else ["*"]
    actions = [action, "s3vectors:GetVectors"] if _reads_vectors(operation) else [action]
    return [Requirement(needed, resource, {}) for needed in actions for resource in resources or ["*"]]


_ACTION_NAMES: Final = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
}


def _dynamodb(operation: Operation, scope: str) -> Iterator[str]:
    names: list[Any] = []
    parameters = operation.parameters
    if "TableName" in parameters:
        names.append(parameters["TableName"])
    names.extend(parameters.get("RequestItems", {}))
    for item in as_list(parameters.get("TransactItems", [])):
        names.extend(action["TableName"] for action in item.values() if "TableName" in action)
    for name in names:
        table = name if name.startswith("arn:") else f"arn:aws:dynamodb:{scope}:table/{name}"
        index = parameters.get("IndexName")
        yield f"{table}/index/{index}" if index else table


def _lambda(operation: Operation, scope: str) -> Iterator[str]:
    name = operation.parameters.get("FunctionName")
    if name:
        name = unquote(name)
        qualifier = operation.parameters.get("Qualifier")
        function = name if name.startswith("arn:") else f"arn:aws:lambda:{scope}:function:{name}"
        yield f"{function}:{qualifier}" if qualifier else function


def _states(operation: Operation, _scope: str) -> Iterator[str]:
    for member in ("stateMachineArn", "executionArn", "mapRunArn", "activityArn", "resourceArn"):
        if member in operation.parameters:
            yield operation.parameters[member]
            return


def _logs(operation: Operation, scope: str) -> Iterator[str]:
    parameters = operation.parameters
    group = parameters.get("logGroupName", "")
    identifier = parameters.get("logGroupIdentifier", "")
    if identifier.startswith("arn:"):
        group = identifier.split(":log-group:", 1)[1].removesuffix(":*")
    # This is the form that AWS itself names in its refusals, group and stream possibly empty.
    yield f"arn:aws:logs:{scope}:log-group:{group or identifier}:log-stream:{parameters.get('logStreamName', '')}"


def _batch(operation: Operation, scope: str) -> Iterator[str]:
    parameters = operation.parameters
    if operation.name == "SubmitJob":
        for member, kind in (("jobDefinition", "job-definition"), ("jobQueue", "job-queue")):
            name = parameters.get(member, "")
            yield name if name.startswith("arn:") else f"arn:aws:batch:{scope}:{kind}/{name}"
    elif operation.name in ("TerminateJob", "CancelJob"):
        yield f"arn:aws:batch:{scope}:job/{parameters.get('jobId', '')}"


def _events(operation: Operation, scope: str) -> Iterator[str]:
    rule = operation.parameters.get("Rule") or operation.parameters.get("Name")
    bus = operation.parameters.get("EventBusName") or "default"
    if operation.name == "PutEvents":
        buses = {entry.get("EventBusName", "default") for entry in operation.parameters.get("Entries", [])}
        yield from (f"arn:aws:events:{scope}:event-bus/{name}" for name in sorted(buses))
    elif rule:
        path = rule if bus == "default" else f"{bus}/{rule}"
        yield f"arn:aws:events:{scope}:rule/{path}"


def _sqs(operation: Operation, scope: str) -> Iterator[str]:
    name = operation.parameters.get("QueueUrl") or operation.parameters.get("QueueName")
    if name:
        yield f"arn:aws:sqs:{scope}:{name.rsplit('/', 1)[-1]}"


def _sns(operation: Operation, _scope: str) -> Iterator[str]:
    topic = operation.parameters.get("TopicArn") or operation.parameters.get("ResourceArn")
    if topic:
        yield topic


def _s3vectors(operation: Operation, scope: str) -> Iterator[str]:
    parameters = operation.parameters
    bucket = (
        parameters.get("vectorBucketArn")
        or f"arn:aws:s3vectors:{scope}:bucket/{parameters.get('vectorBucketName', '')}"
    )
    name = parameters.get("indexName")
    # CreateIndex is of the index that it makes.
    yield parameters.get("indexArn") or (f"{bucket}/index/{name}" if name else bucket)


def _reads_vectors(operation: Operation) -> bool:
    """Whether a listing or a query gives what only GetVectors may read: by its own documentation it needs both."""
    if operation.service != "s3vectors":
        return False
    wanted = {"ListVectors": ("returnData", "returnMetadata"), "QueryVectors": ("returnMetadata", "filter")}
    return any(operation.parameters.get(name) for name in wanted.get(operation.name, ()))


def _sts(operation: Operation, _scope: str) -> Iterator[str]:
    if "RoleArn" in operation.parameters:
        yield operation.parameters["RoleArn"]


_RESOURCES: Final[dict[str, Callable[[Operation, str], Iterator[str]]]] = {
    "batch": _batch,
    "dynamodb": _dynamodb,
    "events": _events,
    "lambda": _lambda,
    "logs": _logs,
    "s3vectors": _s3vectors,
    "sns": _sns,
    "sqs": _sqs,
    "states": _states,
    "sts": _sts,
}


def managed_rule_arn(account: str, region: str) -> str:
    """The rule by which Step Functions learns that a Batch job ended."""
    return f"arn:aws:events:{region}:{account}:rule/StepFunctionsGetEventsForBatchJobsRule"


def check_machine_role(authorizer: Authorizer, definition: str, role_arn: str, account: str, region: str) -> None:
    """What AWS checks when a state machine is created. Raises AccessDenied."""
    if _waits_for_batch_jobs(json.loads(definition)):
        for action in MANAGED_RULE_ACTIONS:
            authorizer.require(role_arn, action, managed_rule_arn(account, region))


def _waits_for_batch_jobs(value: Any) -> bool:
    if isinstance(value, list):
        return any(_waits_for_batch_jobs(item) for item in value)
    if isinstance(value, dict):
        resource = value.get("Resource")
        if isinstance(resource, str) and resource.endswith(":batch:submitJob.sync"):
            return True
        return any(_waits_for_batch_jobs(item) for item in value.values())
    return False
