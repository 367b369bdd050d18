"""Runs that together need every permission that a local run can need. Each gives an outcome that can be compared."""

from __future__ import annotations

import io
import itertools
import json
import zlib
from collections.abc import Callable
from typing import Any, Final

from PIL import Image

from localaws import EmbeddedCloud
from stepvec.cli.deployment import RunOfDeployment
from stepvec.cli.local import deployment_of

DENIAL: Final = "scenario-denial"
LOG_GROUPS_OF_FUNCTIONS: Final = ("ListImages", "ShardImages", "VerifyShard", "VerifyRun")


class Stage:
    """A deployment, and short ways to what the scenarios do with it."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.deployment = deployment_of(cloud)
        self.s3 = cloud.client("s3")
        self._numbers = itertools.count()

    def retry_nothing(self) -> None:
        """Deploy the same definition without its retries: a call that IAM refuses is retried for minutes otherwise."""
        states = self.cloud.client("stepfunctions")
        arn = self.deployment.state_machine_arn
        definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
        _drop_retries(definition)
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))

    def prefix(self) -> str:
        """A prefix that no run had before."""
        return f"policies-{next(self._numbers)}"

    def put_photo(self, key: str) -> None:
        """A small photo of a colour of its own."""
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48), (zlib.crc32(key.encode()) % 256, 90, 40)).save(buffer, "JPEG")
        self.s3.put_object(Bucket=self.deployment.image_bucket, Key=key, Body=buffer.getvalue())

    def run(self, run_input: dict[str, Any]) -> tuple[RunOfDeployment, dict[str, Any]]:
        """Run it to its end; what can be compared of it."""
        run = RunOfDeployment(self.deployment, f"run-{next(self._numbers)}")
        run.start(run_input)
        ended = run.wait()
        if ended.report is None:
            return run, {"status": ended.status, "error": ended.error}
        report = ended.report
        return run, {
            "status": ended.status,
            "embedded": report.embedded,
            "unchanged": report.unchanged,
            "missing": report.missing,
            "failed": dict(report.failed_by_reason),
        }


def embed_two_photos(stage: Stage) -> Any:
    """Two photos in two shards, and what the functions logged on the way."""
    prefix = stage.prefix()
    for number in range(2):
        stage.put_photo(f"{prefix}/{number}.jpg")
    before = _logged(stage)
    _, outcome = stage.run({"Paths": [prefix], "ShardSize": 1})
    after = _logged(stage)
    return {**outcome, "logged": [name for name in LOG_GROUPS_OF_FUNCTIONS if after[name] > before[name]]}


def embed_from_a_manifest(stage: Stage) -> Any:
    """A manifest in the work bucket, with a key that the bucket does not have."""
    prefix, work = stage.prefix(), stage.deployment.work_bucket
    stage.put_photo(f"{prefix}/1.jpg")
    lines = [
        json.dumps(f"{prefix}/1.jpg"),
        json.dumps(f"{prefix}/gone.jpg"),
        json.dumps({"key": f"{prefix}/gone-since.jpg", "size": 5, "etag": "0" * 32}),
    ]
    stage.s3.put_object(Bucket=work, Key=f"manifests/{prefix}.jsonl", Body="\n".join(lines).encode())
    _, outcome = stage.run({"Manifest": f"s3://{work}/manifests/{prefix}.jsonl", "MaxFailures": 2})
    return outcome


def fail_a_job(stage: Stage) -> Any:
    """A job that may not read the table: the report quotes the job's last words."""
    prefix = stage.prefix()
    stage.put_photo(f"{prefix}/1.jpg")
    iam = stage.cloud.client("iam")
    (role,) = (role["RoleName"] for role in iam.list_roles(MaxItems=1000)["Roles"] if "JobRole" in role["RoleName"])
    denial = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName=DENIAL, PolicyDocument=json.dumps(denial))
    try:
        run, outcome = stage.run({"Paths": [prefix]})
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=DENIAL)
    report = run.ended()
    errors = report.report.shard_errors.values() if report and report.report else []
    return {**outcome, "quotes the worker": any("AccessDeniedError" in error for error in errors)}


SCENARIOS: Final[dict[str, Callable[[Stage], Any]]] = {
    "embed two photos": embed_two_photos,
    "embed from a manifest": embed_from_a_manifest,
    "fail a job": fail_a_job,
}
MUST_SUCCEED: Final = ("embed two photos", "embed from a manifest")


def _logged(stage: Stage) -> dict[str, int]:
    """Log streams of each function: each invocation writes one."""
    logs = stage.cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    return {
        name: sum(len(logs.describe_log_streams(logGroupName=group)["logStreams"]) for group in groups if name in group)
        for name in LOG_GROUPS_OF_FUNCTIONS
    }


def _drop_retries(value: Any) -> None:
    if isinstance(value, dict):
        value.pop("Retry", None)
        for part in value.values():
            _drop_retries(part)
    elif isinstance(value, list):
        for part in value:
            _drop_retries(part)
