"""One embedded AWS for all tests of this folder, on the hand-written cloud assembly beside this file."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws import EmbeddedCloud

HERE = Path(__file__).parent
LAMBDA_PYTHON = HERE.parents[1] / ".venv-lambda" / "bin" / "python"
DEADLINE_SECONDS = 40


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Polls until `condition()` is true, and gives its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen within {seconds} s")


class Sample:
    """The embedded AWS with short ways to what the tests do."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.data = cloud.outputs["DataStack"]
        self.pipeline = cloud.outputs["Pipeline"]
        self.s3 = cloud.client("s3")
        self.batch = cloud.client("batch")
        self.states = cloud.client("stepfunctions")
        self.iam = cloud.client("iam")

    # --- Lambda
    def invoke(self, event: dict[str, Any], function: str = "FunctionName", **keywords: Any) -> dict[str, Any]:
        """Invokes; the answer with its payload read."""
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.pipeline[function], Payload=json.dumps(event), **keywords
        )
        return {**answer, "Payload": json.loads(answer["Payload"].read())}

    # --- Batch
    def submit(self, *command: str, **keywords: Any) -> str:
        """Submits a job; its id."""
        overrides = keywords.pop("containerOverrides", {})
        if command:
            overrides["command"] = list(command)
        job = self.batch.submit_job(
            jobName="test",
            jobQueue=self.pipeline["JobQueue"],
            jobDefinition=self.pipeline["JobDefinition"],
            containerOverrides=overrides,
            **keywords,
        )
        return str(job["jobId"])

    def describe(self, job_id: str) -> dict[str, Any]:
        """DescribeJobs of one job."""
        (job,) = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        return dict(job)

    def finished(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended."""
        job = wait_for(
            lambda: (job := self.describe(job_id))["status"] in ("SUCCEEDED", "FAILED") and job,
            f"the end of job {job_id}",
        )
        return dict(job)

    def job_log(self, job: dict[str, Any]) -> list[str]:
        """The lines of a job's (latest) log stream so far."""
        stream = job.get("container", {}).get("logStreamName")
        return self.log(self.pipeline["JobsLog"], stream) if stream else []

    def wait_for_line(self, job_id: str, line: str) -> None:
        """Waits until the running job has logged `line`."""
        wait_for(lambda: line in self.job_log(self.describe(job_id)), f"line {line!r}")

    def log(self, group: str, stream: str) -> list[str]:
        """The messages of a log stream."""
        events = self.cloud.client("logs").get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)[
            "events"
        ]
        return [event["message"] for event in events]

    # --- Step Functions
    def machine(self, definition: dict[str, Any], role: str | None = None) -> str:
        """Makes a state machine; its ARN."""
        answer = self.states.create_state_machine(
            name=f"m-{uuid.uuid4().hex}",
            definition=json.dumps(definition),
            roleArn=role or self.pipeline["MachineRoleArn"],
        )
        return str(answer["stateMachineArn"])

    def start(self, definition: dict[str, Any], value: Any = None, role: str | None = None) -> str:
        """Makes a state machine and starts it; the execution's ARN."""
        machine = self.machine(definition, role)
        execution = self.states.start_execution(
            stateMachineArn=machine, name=f"e-{uuid.uuid4().hex}", input=json.dumps(value or {})
        )
        return str(execution["executionArn"])

    def ended(self, execution: str, *, seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """DescribeExecution once it has ended, its output parsed."""
        answer = wait_for(
            lambda: (one := self.states.describe_execution(executionArn=execution))["status"] != "RUNNING" and one,
            "the end of the execution",
            seconds=seconds,
        )
        return {**answer, "output": json.loads(answer["output"]) if "output" in answer else None}

    def run(self, definition: dict[str, Any], value: Any = None, role: str | None = None) -> dict[str, Any]:
        """Runs a new state machine to its end."""
        return self.ended(self.start(definition, value, role))

    def batch_task(self, *command: str, **fields: Any) -> dict[str, Any]:
        """A Task state that runs a job."""
        parameters = fields.pop("Parameters", {})
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::batch:submitJob.sync",
            "Parameters": {
                "JobName": "task",
                "JobQueue": self.pipeline["JobQueue"],
                "JobDefinition": self.pipeline["JobDefinition"],
                "ContainerOverrides": {"Command": list(command)},
                **parameters,
            },
            **fields,
        }

    def lambda_task(self, payload: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A Task state that invokes the function."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.pipeline["FunctionName"], "Payload": payload},
            "OutputPath": "$.Payload",
            **fields,
        }

    # --- IAM
    def role_with(self, service: str, *statements: dict[str, Any]) -> str:
        """A new role that `service` may assume, with these statements; its ARN."""
        name = f"r-{uuid.uuid4().hex}"
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
        arn = self.iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )["Role"]["Arn"]
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        return str(arn)


@pytest.fixture(scope="package")
def sample() -> Iterator[Sample]:
    with EmbeddedCloud.start(
        HERE / "assembly",
        lambda_python=LAMBDA_PYTHON,
        worker_python=Path(sys.executable),
        slots=3,
        environment={"FROM_START": "yes"},
    ) as cloud:
        yield Sample(cloud)


@pytest.fixture(scope="package")
def polling() -> Callable[..., Any]:
    return wait_for


@pytest.fixture
def assembly_folder() -> Path:
    return HERE / "assembly"


@pytest.fixture
def lambda_python() -> Path:
    return LAMBDA_PYTHON
