"""Least privilege, proven: take any one permission away and a run fails with AWS's own words."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.local.conftest import Pipeline, photo

# Of the state machine's role, lambda:InvokeFunction, batch:SubmitJob and batch:DescribeJobs are left out for time: AWS
# names a denied call as any failure of its SDK, which the definition retries for minutes. tests/localaws tries them.
TAKEN = [
    ("ListImagesRole", "s3:ListBucket"),
    ("ListImagesRole", "s3:PutObject"),
    ("ShardImagesRole", "s3:GetObject"),
    ("ShardImagesRole", "s3:PutObject"),
    ("ShardImagesRole", "dynamodb:BatchGetItem"),
    ("ShardImagesRole", "dynamodb:Scan"),
    ("VerifyShardRole", "s3:GetObject"),
    ("VerifyShardRole", "s3:PutObject"),
    ("VerifyShardRole", "dynamodb:BatchGetItem"),
    ("VerifyRunRole", "s3:GetObject"),
    ("VerifyRunRole", "s3:PutObject"),
    ("JobRole", "s3:GetObject"),
    ("JobRole", "s3:PutObject"),
    ("JobRole", "dynamodb:BatchGetItem"),
    ("JobRole", "dynamodb:PutItem"),
    ("EmbedImagesRole", "s3:GetObject"),
    ("EmbedImagesRole", "states:StartExecution"),
    ("EmbedImagesRole", "events:PutRule"),
]


@contextmanager
def taken(iam: Any, role_part: str, action: str) -> Iterator[int]:
    """The role's policies without `action`, restored at the end; yields the statements that it was taken from."""
    (role,) = (role["RoleName"] for role in iam.list_roles(MaxItems=100)["Roles"] if role_part in role["RoleName"])
    originals: dict[str, Any] = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    count = 0
    for name, original in originals.items():
        document, found = _without(original, action)
        if found:
            count += found
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    try:
        yield count
    finally:
        for name, original in originals.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(original))


def _without(document: dict[str, Any], action: str) -> tuple[dict[str, Any], int]:
    changed, found = copy.deepcopy(document), 0
    for statement in changed["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if action in actions:
            found += 1
            statement["Action"] = [other for other in actions if other != action] or ["none:None"]
    return changed, found


@pytest.fixture(scope="module", autouse=True)
def _a_row(pipeline: Pipeline) -> None:
    """In an empty table ShardImages looks nothing up."""
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    assert pipeline.run({"Paths": [folder]}).status == "SUCCEEDED"


@pytest.mark.parametrize(("role", "action"), TAKEN, ids=lambda value: value)
def test_without_one_permission_a_run_is_denied(pipeline: Pipeline, role: str, action: str) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    with taken(pipeline.cloud.client("iam"), role, action) as count:
        assert count, f"{role} has no {action}"
        start = int(time.time() * 1000)
        run = pipeline.run({"Paths": [folder]})
    assert run.status == "FAILED"
    told = run.ended.cause + json.dumps(run.failures)
    if role == "VerifyShardRole":
        # Its error is its child execution's, which the report points to.
        assert "VerifyShard did not run" in told
        told = _log(pipeline, "VerifyShardLogs", since=start)
    assert "AccessDenied" in told or "not authorized to perform" in told


def _log(pipeline: Pipeline, group_part: str, *, since: int) -> str:
    """What a function logged since then (milliseconds), in whichever of its environments."""
    logs = pipeline.cloud.client("logs")
    (group,) = (
        group["logGroupName"]
        for group in logs.describe_log_groups()["logGroups"]
        if group_part in group["logGroupName"]
    )
    events = logs.filter_log_events(logGroupName=group, startTime=since)["events"]
    return "\n".join(event["message"] for event in events)


def test_with_all_permissions_the_same_run_succeeds(pipeline: Pipeline) -> None:
    folder = pipeline.folder()
    pipeline.put(f"{folder}/1.jpg", photo(1))
    assert pipeline.run({"Paths": [folder]}).status == "SUCCEEDED"
