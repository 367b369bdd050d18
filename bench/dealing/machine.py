"""The state machine with a queue in the place of a job for each shard; all else is the product's own definition."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from stepvec.client.deployment import Deployment

EMBED_FROM_QUEUE: Final = "EmbedFromQueue"
VERIFY_SHARDS: Final = "EmbedShards"
"""The Map keeps its name; its children only verify."""
_ROLE: Final = "bench-dealing"


def queue_definition(definition: Any, queue_url: str, work_bucket: str, jobs: int) -> Any:
    """`definition` with `jobs` long jobs before its Map, and no job in the Map's children.

    An array job would do the same with one request; the embedded AWS has no .sync for those, hence an inline Map.
    """
    changed = copy.deepcopy(definition)
    states = changed["States"]
    processor = states[VERIFY_SHARDS]["ItemProcessor"]
    embed = processor["States"].pop("EmbedShard")
    processor["StartAt"] = "VerifyShard"
    parameters = {
        "JobName.$": "States.Format('stepvec-queue-{}', $.index)",
        "JobQueue": embed["Parameters"]["JobQueue"],
        "JobDefinition": embed["Parameters"]["JobDefinition"],
        "ContainerOverrides": {"Command.$": _command(queue_url, work_bucket)},
    }
    states[EMBED_FROM_QUEUE] = {
        "Type": "Map",
        "ItemsPath": "$.indexes",
        "ItemSelector": {"index.$": "$$.Map.Item.Value", "shards_key.$": "$.shards_key"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "Embed",
            "States": {
                "Embed": {"Type": "Task", "Resource": embed["Resource"], "Parameters": parameters, "End": True},
            },
        },
        "ResultPath": None,
        "Next": VERIFY_SHARDS,
    }
    states["ChooseIndexes"] = {
        "Type": "Pass",
        "Parameters": {"of.$": f"States.ArrayRange(0, {jobs - 1}, 1)"},
        "ResultPath": "$.chosen",
        "Next": "SetIndexes",
    }
    states["SetIndexes"] = {
        "Type": "Pass",
        "InputPath": "$.chosen.of",
        "ResultPath": "$.indexes",
        "Next": EMBED_FROM_QUEUE,
    }
    states["ConfigureMap"]["Next"] = "ChooseIndexes"
    return changed


def _command(queue_url: str, work_bucket: str) -> str:
    words = [
        *("'--queue'", f"'{queue_url}'", "'--shards'", f"States.Format('s3://{work_bucket}/{{}}', $.shards_key)"),
        *("'--index'", "States.Format('{}', $.index)"),
    ]
    return f"States.Array({', '.join(words)})"


def make_machine(deployment: Deployment, queue_url: str, jobs: int) -> str:
    """The ARN of the queue's state machine, which may do everything: permissions are not what is measured."""
    states = deployment.client("stepfunctions")
    definition = json.loads(states.describe_state_machine(stateMachineArn=deployment.state_machine_arn)["definition"])
    role = make_role(deployment.client("iam"), _ROLE, "states.amazonaws.com")
    changed = queue_definition(definition, queue_url, deployment.work_bucket, jobs)
    made = states.create_state_machine(name="bench-dealing", definition=json.dumps(changed), roleArn=role)
    return str(made["stateMachineArn"])


def make_role(iam: Any, name: str, service: str) -> str:
    """The ARN of a role of `service` that may do everything."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allow_everything(iam, name)
    return str(arn)


def allow_everything(iam: Any, role: str) -> None:
    """Let the role do everything."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="everything", PolicyDocument=json.dumps(policy))
