"""The pipeline with its triggers, on an embedded AWS of its own: one is open at a time in a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, synthesize
from localaws import EmbeddedCloud
from tests.local.conftest import SLOTS, Pipeline, wait_until

WINDOW_SECONDS = 3
SETTINGS = {
    "upload_trigger": True,
    "upload_prefixes": ["uploads"],
    "upload_window_seconds": WINDOW_SECONDS,
    "schedule": "cron(* * * * ? *)",
    "schedule_paths": ["scheduled"],
    "http_start": True,
    "http_rate": 1_000,
}
ENDED = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")


class Clock:
    """The time that the schedule goes by: it stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Triggered(Pipeline):
    """The pipeline, and what its triggers have started."""

    def __init__(self, cloud: EmbeddedCloud, clock: Clock) -> None:
        super().__init__(cloud)
        self.clock = clock
        self.sqs = cloud.client("sqs")
        self.states = cloud.client("stepfunctions")
        outputs = cloud.outputs["StepvecPipeline"]
        self.queue, self.dead_letters = outputs["UploadQueueUrl"], outputs["UploadDeadLettersUrl"]

    def pass_time(self, step: timedelta) -> None:
        self.clock.now += step

    def executions(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return list(self.states.list_executions(stateMachineArn=self.deployment.state_machine_arn)["executions"])

    def wait_for_new(self, known: list[dict[str, Any]], count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` executions that are not among the known ones to end; all that are new."""
        names = {execution["name"] for execution in known}

        def new() -> list[dict[str, Any]]:
            return [execution for execution in self.executions() if execution["name"] not in names]

        wait_until(lambda: sum(execution["status"] in ENDED for execution in new()) >= count)
        return new()

    def output(self, execution: dict[str, Any]) -> dict[str, Any]:
        described = self.states.describe_execution(executionArn=execution["executionArn"])
        assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
        output = json.loads(described["output"])
        assert isinstance(output, dict)
        return output

    def in_queue(self, url: str) -> int:
        """Messages of the queue, those in flight too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def wait_until_taken(self) -> None:
        """Wait until the function has taken all messages."""
        wait_until(lambda: not self.in_queue(self.queue))


@pytest.fixture(scope="package")
def triggered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triggered]:
    assembly: Path = tmp_path_factory.mktemp("triggers") / "cdk.out"
    synthesize(assembly, SETTINGS)
    clock = Clock()
    with EmbeddedCloud.start(
        assembly, lambda_python=LAMBDA_PYTHON, worker_python=WORKER_PYTHON, slots=SLOTS, clock=clock
    ) as cloud:
        yield Triggered(cloud, clock)
