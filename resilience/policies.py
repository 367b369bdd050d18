"""Least privilege, shown: each statement of the deployed policies is taken away, and some local run must then differ.

    python -m resilience.policies

Prints a table and ends with `N statements, K needed by a run, J justified in writing`. Fails for a statement that no
run misses and nothing justifies: it has to go, or to be justified in JUSTIFIED.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from resilience.policy_scenarios import MUST_SUCCEED, SCENARIOS, SETTINGS, Clock, DeploymentUnderTest

JUSTIFIED: Final[dict[tuple[str, str], str]] = {
    ("ContainerExecutionRole", "*"): "the ECS agent's, to pull the image and write logs: there is no agent locally",
    ("ScheduleRole", "sqs:SendMessage"): "EventBridge Scheduler's own, for a start that is refused for an hour",
    ("VerifyRunRole", "sns:Publish"): "the run's message; a refusal is logged and fails nothing (decision 0013)",
    ("VerifyRunRole", "events:PutEvents"): "the run's event; a refusal is logged and fails nothing (decision 0013)",
    ("EmbedImagesRole", "states:DescribeExecution"): "Step Functions' own, to follow and stop a Map's children",
}
"""Statements that no local run can miss, by part of the role's name and an action ("*": any), with the reason.

Sources: docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html and
docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of an inline policy of a role."""

    role: str
    policy: str
    index: int
    actions: tuple[str, ...]
    resources: str

    @property
    def justification(self) -> str:
        """Why it is there though no local run misses it; "" where nothing says so."""
        for (role, action), reason in JUSTIFIED.items():
            if role in self.role and (action == "*" or action in self.actions):
                return reason
        return ""


def statements(iam: Any) -> list[Statement]:
    """Every statement of the inline policies of the deployed roles."""
    found: list[Statement] = []
    for role in iam.list_roles(MaxItems=1000)["Roles"]:
        name = role["RoleName"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for index, entry in enumerate(document["Statement"]):
                actions = entry["Action"] if isinstance(entry["Action"], list) else [entry["Action"]]
                found.append(Statement(name, policy, index, tuple(actions), json.dumps(entry["Resource"])))
    return found


@contextmanager
def without(iam: Any, statement: Statement) -> Iterator[None]:
    """The deployment without `statement`, which is put back at the end."""
    key = {"RoleName": statement.role, "PolicyName": statement.policy}
    original = iam.get_role_policy(**key)["PolicyDocument"]
    left = [entry for index, entry in enumerate(original["Statement"]) if index != statement.index]
    if left:
        iam.put_role_policy(**key, PolicyDocument=json.dumps({**original, "Statement": left}))
    else:
        iam.delete_role_policy(**key)
    try:
        yield
    finally:
        iam.put_role_policy(**key, PolicyDocument=json.dumps(original))


def missed_by(deployed: DeploymentUnderTest, expected: dict[str, Any]) -> str:
    """The first scenario whose outcome differs from `expected`, and how; "" where all are the same."""
    for name, scenario in SCENARIOS.items():
        outcome = scenario(deployed)
        if outcome != expected[name]:
            differing = {key: outcome.get(key) for key in outcome if outcome.get(key) != expected[name].get(key)}
            return f"{name}: {differing}"[:160]
    return ""


def main() -> int:
    """Try every statement; the exit code says whether each is needed or justified."""
    console = Console(width=170)
    with tempfile.TemporaryDirectory() as folder:
        synthesize(Path(folder), SETTINGS)
        clock = Clock()
        with EmbeddedCloud.start(
            Path(folder), lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=2, clock=clock
        ) as cloud:
            return _try_all(DeploymentUnderTest(cloud, clock), console)


def _try_all(deployed: DeploymentUnderTest, console: Console) -> int:
    deployed.retry_nothing()
    expected = {name: scenario(deployed) for name, scenario in SCENARIOS.items()}
    # A scenario that never gives the same outcome twice would "miss" every statement.
    if unsteady := missed_by(deployed, expected):
        console.print(f"[red]a scenario differs from one time to the next: {unsteady}")
        return 1
    console.print("With every statement:", expected)
    if any(expected[name]["status"] != "SUCCEEDED" for name in MUST_SUCCEED):
        return 1
    iam = deployed.cloud.client("iam")
    table = Table("role", "actions", "without it", show_lines=False)
    needed = justified = superfluous = 0
    everything = statements(iam)
    for statement in everything:
        with without(iam, statement):
            difference = missed_by(deployed, expected)
        if difference:
            needed += 1
        elif statement.justification:
            justified += 1
            difference = f"[yellow]justified: {statement.justification}"
        else:
            superfluous += 1
            difference = f"[red]NOTHING MISSES IT ({statement.resources})"
        table.add_row(_role(statement.role), ", ".join(statement.actions), difference)
        console.print(f"{needed + justified + superfluous}/{len(everything)} {_role(statement.role)}", style="dim")
    console.print(table)
    console.print(f"{len(everything)} statements, {needed} needed by a run, {justified} justified in writing")
    return 1 if superfluous else 0


def _role(name: str) -> str:
    """The role's name without the stack's and without the hashes behind it."""
    return name.partition("-")[2].rsplit("-", 1)[0][:-8]


if __name__ == "__main__":
    sys.exit(main())
