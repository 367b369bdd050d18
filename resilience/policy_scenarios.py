"""Runs that together need every permission that a local run can need. Each gives an outcome that can be compared."""

from __future__ import annotations

import itertools
import json
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from local_pipeline.cloud import deployment_of
from localaws import EmbeddedCloud
from stepvec.client.runs import Run
from stepvec.stack_names import PIPELINE_STACK
from testkit.photos import picture

DENIAL: Final = "scenario-denial"
LOG_GROUPS_OF_FUNCTIONS: Final = ("ListImages", "ShardImages", "VerifyShard", "VerifyRun")


UPLOADS: Final = "uploads"
SCHEDULED: Final = "scheduled"
SETTINGS: Final[dict[str, Any]] = {
    "upload_trigger": True,
    "upload_prefixes": [UPLOADS],
    "upload_window_seconds": 1,
    "schedule": "cron(* * * * ? *)",
    "schedule_paths": [SCHEDULED],
    "http_start": True,
    "vector_index": "s3vectors",
}
"""Settings of the deployment that is tried: with everything that has permissions."""
START_SECONDS: Final = 10
"""How long a trigger may take to start a run that does not come otherwise."""


class Clock:
    """The time that the schedule goes by: it stands still until a scenario moves it on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now


class DeploymentUnderTest:
    """A deployment, and short ways to what the scenarios do with it."""

    def __init__(self, cloud: EmbeddedCloud, clock: Clock) -> None:
        self.cloud = cloud
        self.clock = clock
        self.outputs = cloud.outputs[PIPELINE_STACK]
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

    def executions(self) -> dict[str, str]:
        """Name and status of every execution, once all have ended."""
        states = self.cloud.client("stepfunctions")
        while True:
            answer = states.list_executions(stateMachineArn=self.deployment.state_machine_arn, maxResults=1000)
            found = {entry["name"]: entry["status"] for entry in answer["executions"]}
            if "RUNNING" not in found.values():
                return found
            time.sleep(0.2)

    def wait_for_new(self, known: dict[str, str]) -> str:
        """The status in which an execution ended that is not among the known ones; "none" where none came."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            new = [status for name, status in self.executions().items() if name not in known]
            if new:
                return new[0]
            time.sleep(0.2)
        return "none"

    def drain(self, queue: str) -> None:
        """Take away what an earlier scenario left in the queue. (PurgeQueue is allowed once a minute.)"""
        sqs = self.cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> int:
        """The status that the HTTP API answers a signed request with."""
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"Idempotency-Key": token, "Content-Type": "application/json"} if token else {}
        request = AWSRequest(method=method, url=self.deployment.http_url + path, data=content, headers=headers)
        key = Credentials(self.cloud.access_key_id, self.cloud.secret_access_key)
        SigV4Auth(key, "execute-api", self.cloud.region).add_auth(request)
        return URLLib3Session().send(request.prepare()).status_code

    def put_photo(self, key: str) -> None:
        """A small photo of its own."""
        photo = picture(zlib.crc32(key.encode()))
        self.s3.put_object(Bucket=self.deployment.image_bucket, Key=key, Body=photo)

    def run(self, run_input: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
        """Run it to its end; what can be compared of it."""
        run = Run(self.deployment, f"run-{next(self._numbers)}")
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


def embed_two_photos(deployed: DeploymentUnderTest) -> Any:
    """Two photos in two shards, and what the functions logged on the way."""
    prefix = deployed.prefix()
    for number in range(2):
        deployed.put_photo(f"{prefix}/{number}.jpg")
    start = int(time.time() * 1000)
    _, outcome = deployed.run({"Paths": [prefix], "ShardSize": 1})
    return {**outcome, "logged": _logged_since(deployed, start)}


def embed_from_a_manifest(deployed: DeploymentUnderTest) -> Any:
    """A manifest in the work bucket, with a key that the bucket does not have."""
    prefix, work = deployed.prefix(), deployed.deployment.work_bucket
    deployed.put_photo(f"{prefix}/1.jpg")
    lines = [
        json.dumps(f"{prefix}/1.jpg"),
        json.dumps(f"{prefix}/gone.jpg"),
        json.dumps({"key": f"{prefix}/gone-since.jpg", "size": 5, "etag": "0" * 32}),
    ]
    deployed.s3.put_object(Bucket=work, Key=f"manifests/{prefix}.jsonl", Body="\n".join(lines).encode())
    _, outcome = deployed.run({"Manifest": f"s3://{work}/manifests/{prefix}.jsonl", "MaxFailures": 2})
    return outcome


def name_a_manifest_that_is_not_there(deployed: DeploymentUnderTest) -> Any:
    """The user is told so, and not that something is denied."""
    _, outcome = deployed.run({"Manifest": f"s3://{deployed.deployment.work_bucket}/manifests/none.jsonl"})
    return outcome


def fill_the_index(deployed: DeploymentUnderTest) -> Any:
    """A photo whose vector is gone from the index: it is copied from its row."""
    prefix, index = deployed.prefix(), deployed.deployment.vector_index
    deployed.put_photo(f"{prefix}/1.jpg")
    deployed.run({"Paths": [prefix]})
    deployed.cloud.client("s3vectors").delete_vectors(indexArn=index, keys=[f"{prefix}/1.jpg"])
    _, outcome = deployed.run({"Paths": [prefix]})
    return outcome


def fail_a_job(deployed: DeploymentUnderTest) -> Any:
    """A job that may not read the table: the report quotes the job's last words."""
    prefix = deployed.prefix()
    deployed.put_photo(f"{prefix}/1.jpg")
    iam = deployed.cloud.client("iam")
    (role,) = (role["RoleName"] for role in iam.list_roles(MaxItems=1000)["Roles"] if "JobRole" in role["RoleName"])
    denial = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName=DENIAL, PolicyDocument=json.dumps(denial))
    try:
        run, outcome = deployed.run({"Paths": [prefix]})
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=DENIAL)
    report = run.ended()
    errors = report.report.shard_errors.values() if report and report.report else []
    return {**outcome, "quotes the worker": any("AccessDeniedError" in error for error in errors)}


def stop_a_run(deployed: DeploymentUnderTest) -> Any:
    """A run that is stopped while its job runs: how the job ends. By itself, it would succeed."""
    prefix, batch = deployed.prefix(), deployed.cloud.client("batch")
    for number in range(20):
        deployed.put_photo(f"{prefix}/{number}.jpg")
    (queue,) = batch.describe_job_queues()["jobQueues"]
    run = Run(deployed.deployment, f"run-{prefix}")
    run.start({"Paths": [prefix]})
    jobs: list[Any] = []
    while not jobs and run.ended() is None:
        time.sleep(0.1)
        jobs = batch.list_jobs(jobQueue=queue["jobQueueArn"], jobStatus="RUNNING")["jobSummaryList"]
    run.stop()
    ends = []
    for job in jobs:
        while (status := _status_of(batch, job["jobId"])) not in ("SUCCEEDED", "FAILED"):
            time.sleep(0.2)
        ends.append(status)
    return {"status": deployed.executions()[run.name], "jobs": ends}


def _status_of(batch: Any, job_id: str) -> Any:
    return batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"]


def upload_a_photo(deployed: DeploymentUnderTest) -> Any:
    """An upload that starts its run by itself, and what StartOnUpload logged of it."""
    known, start = deployed.executions(), int(time.time() * 1000)
    deployed.drain(deployed.outputs["UploadQueueUrl"])
    deployed.put_photo(f"{UPLOADS}/{deployed.prefix()}.jpg")
    outcome = deployed.wait_for_new(known)
    return {"status": outcome, "logged": _logged_since(deployed, start, ("StartOnUpload",))}


def let_a_minute_pass(deployed: DeploymentUnderTest) -> Any:
    """A schedule that fires."""
    known = deployed.executions()
    deployed.put_photo(f"{SCHEDULED}/{deployed.prefix()}.jpg")
    deployed.clock.now += timedelta(minutes=1)
    return {"status": deployed.wait_for_new(known)}


def start_by_http(deployed: DeploymentUnderTest) -> Any:
    """A run that a request starts, and one that ends without a report: what each request is answered and logs."""
    prefix, start = deployed.prefix(), int(time.time() * 1000)
    deployed.put_photo(f"{prefix}/1.jpg")
    statuses = []
    for number, path in enumerate((prefix, "nothing-lies-here")):
        body, name = {"Paths": [path]}, f"{prefix}-{number}"
        statuses.append(deployed.ask("POST", "/runs", body, token=name))
        deployed.executions()
        statuses.append(deployed.ask("POST", "/runs", body, token=name))
        statuses += [deployed.ask("GET", f"/runs/http-{name}"), deployed.ask("GET", f"/runs/http-{name}/report")]
    ended = deployed.executions().get(f"http-{prefix}-0", "none")
    return {"status": ended, "answers": statuses, "logged": _logged_since(deployed, start, ("StartByHttp",))}


SCENARIOS: Final[dict[str, Callable[[DeploymentUnderTest], Any]]] = {
    "embed two photos": embed_two_photos,
    "embed from a manifest": embed_from_a_manifest,
    "name a manifest that is not there": name_a_manifest_that_is_not_there,
    "fill the index": fill_the_index,
    "fail a job": fail_a_job,
    "stop a run": stop_a_run,
    "upload a photo": upload_a_photo,
    "let a minute pass": let_a_minute_pass,
    "start by HTTP": start_by_http,
}
MUST_SUCCEED: Final = (
    "embed two photos", "embed from a manifest", "fill the index", "upload a photo", "let a minute pass",
    "start by HTTP",
)  # fmt: skip


def _logged_since(
    deployed: DeploymentUnderTest, milliseconds: int, functions: tuple[str, ...] = LOG_GROUPS_OF_FUNCTIONS
) -> list[str]:
    """The functions that have logged since then (Unix time)."""
    logs = deployed.cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    return [
        name
        for name in functions
        for group in groups
        if name in group and logs.filter_log_events(logGroupName=group, startTime=milliseconds, limit=1)["events"]
    ]


def _drop_retries(value: Any) -> None:
    if isinstance(value, dict):
        value.pop("Retry", None)
        for part in value.values():
            _drop_retries(part)
    elif isinstance(value, list):
        for part in value:
            _drop_retries(part)
