"""What Step Functions does with an execution role beyond the calls that a definition names."""

from __future__ import annotations

import json
from typing import Any, Final

from localaws.iam.authorizer import Authorizer

MANAGED_RULE_ACTIONS: Final = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
"""https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html"""


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
