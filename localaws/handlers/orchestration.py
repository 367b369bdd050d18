"""Step Functions state machines and log groups."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from localaws.errors import TemplateError
from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates
from localaws.iam.permissions import check_machine_role

_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


@handles(
    "AWS::StepFunctions::StateMachine",
    applied={
        "StateMachineName",
        "StateMachineType",
        "RoleArn",
        "Definition",
        "DefinitionString",
        "DefinitionS3Location",
        "DefinitionSubstitutions",
    },
    harmless={"TracingConfiguration"},
    fixed={"StateMachineName", "StateMachineType"},
)
def state_machine(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a state machine, after the checks of its role that AWS makes then."""
    role = properties["RoleArn"]
    definition = _checked_definition(site, logical_id, properties)
    name = properties.get("StateMachineName") or site.name(logical_id, 80)
    arn = site.client("stepfunctions").create_state_machine(
        name=name,
        definition=definition,
        roleArn=role,
        type=properties.get("StateMachineType", "STANDARD"),
    )["stateMachineArn"]
    return Deployed(arn, {"Arn": arn, "Name": name})


@updates("AWS::StepFunctions::StateMachine")
def update_state_machine(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes definition and role. An execution that runs goes on with the definition that it began with."""
    definition = _checked_definition(site, logical_id, change.after)
    site.client("stepfunctions").update_state_machine(
        stateMachineArn=change.name, definition=definition, roleArn=change.after["RoleArn"]
    )
    return change.deployed


@removes("AWS::StepFunctions::StateMachine")
def remove_state_machine(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a state machine."""
    site.client("stepfunctions").delete_state_machine(stateMachineArn=deployed.physical_id)


def _checked_definition(site: Site, logical_id: str, properties: Mapping[str, Any]) -> str:
    context, role = site.context, properties["RoleArn"]
    definition = _substituted(_definition(site, properties), properties, logical_id)
    context.credentials.for_role(role, "states", "states.amazonaws.com")
    check_machine_role(context.authorizer, definition, role, context.account, context.region)
    return definition


def _definition(site: Site, properties: Mapping[str, Any]) -> str:
    if "DefinitionString" in properties:
        return str(properties["DefinitionString"])
    if "Definition" in properties:
        return json.dumps(properties["Definition"])
    location = properties["DefinitionS3Location"]
    answer = site.client("s3").get_object(Bucket=location["Bucket"], Key=location["Key"])
    return str(answer["Body"].read().decode())


def _substituted(definition: str, properties: Mapping[str, Any], logical_id: str) -> str:
    values = properties.get("DefinitionSubstitutions", {})

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise TemplateError(
                f"The definition of {logical_id} has ${{{match[1]}}}, which DefinitionSubstitutions lacks.",
                remedy="Add it to the substitutions in the CDK app.",
            )
        # As AWS does it: the value goes into the text of a JSON string.
        return json.dumps(str(values[match[1]]))[1:-1]

    return _SUBSTITUTION.sub(value, definition)


@handles(
    "AWS::Logs::LogGroup",
    applied={"LogGroupName", "RetentionInDays"},
    harmless={"LogGroupClass", "KmsKeyId", "DataProtectionPolicy"},
    fixed={"LogGroupName"},
)
def log_group(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a log group."""
    name = properties.get("LogGroupName") or site.name(logical_id, 512)
    logs = site.client("logs")
    logs.create_log_group(logGroupName=name)
    if "RetentionInDays" in properties:
        logs.put_retention_policy(logGroupName=name, retentionInDays=properties["RetentionInDays"])
    arn = f"arn:aws:logs:{site.context.region}:{site.context.account}:log-group:{name}:*"
    return Deployed(name, {"Arn": arn})


@updates("AWS::Logs::LogGroup")
def update_log_group(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes how long log events are kept."""
    logs = site.client("logs")
    if "RetentionInDays" in change.after:
        logs.put_retention_policy(logGroupName=change.name, retentionInDays=change.after["RetentionInDays"])
    else:
        logs.delete_retention_policy(logGroupName=change.name)
    return change.deployed


@removes("AWS::Logs::LogGroup")
def remove_log_group(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a log group and what is in it."""
    site.client("logs").delete_log_group(logGroupName=deployed.physical_id)
