"""Schedules: they fire by the clock that the embedded AWS was given, with their role's permissions."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.errors import TemplateError
from localaws.handlers.triggers import rule, schedule

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Schedules:
    """A state machine, and schedules that start it by a clock of the test's own."""

    def __init__(self, sample: Any, polling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sample = sample
        self.wait_for = polling
        self.now = NOON
        monkeypatch.setattr(sample.cloud._context, "clock", lambda: self.now)
        self.client = sample.cloud.client("scheduler")
        self.machine = sample.states.create_state_machine(
            name=f"m-{uuid.uuid4().hex}",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn=sample.pipeline["MachineRoleArn"],
        )["stateMachineArn"]
        self.names: list[str] = []

    def role(self, *statements: dict[str, Any]) -> str:
        return str(self.sample.role_with("scheduler.amazonaws.com", *statements))

    def starter(self) -> str:
        return self.role({"Effect": "Allow", "Action": "states:StartExecution", "Resource": self.machine})

    def create(self, expression: str, *, role: str | None = None, **settings: Any) -> str:
        name = f"s-{uuid.uuid4().hex}"
        target = {"Arn": self.machine, "RoleArn": role or self.starter(), "Input": '{"Paths": ["a"]}'}
        self.client.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            **{**settings, "Target": {**target, **settings.get("Target", {})}},
        )
        self.names.append(name)
        return name

    def started(self) -> list[dict[str, Any]]:
        return list(self.sample.states.list_executions(stateMachineArn=self.machine)["executions"])

    def wait_for_starts(self, count: int) -> None:
        self.wait_for(lambda: len(self.started()) >= count, f"start {count}")
        assert len(self.started()) == count


@pytest.fixture
def schedules(sample: Any, polling: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Schedules(sample, polling, monkeypatch)
    yield made
    for name in made.names:
        made.client.delete_schedule(Name=name)


def test_a_rate_fires_at_once_and_then_at_its_interval(schedules):
    schedules.create("rate(1 minute)")
    schedules.wait_for_starts(1)
    schedules.now += timedelta(minutes=1)
    schedules.wait_for_starts(2)
    schedules.now += timedelta(minutes=2)
    schedules.wait_for_starts(4)
    execution = schedules.sample.ended(schedules.started()[0]["executionArn"])
    assert execution["input"] == '{"Paths": ["a"]}'


def test_a_cron_fires_when_it_is_due_in_its_zone(schedules):
    # 13:30 in Vienna, in winter.
    schedules.create("cron(30 13 * * ? *)", ScheduleExpressionTimezone="Europe/Vienna")
    other = schedules.create("rate(1 minute)")
    schedules.wait_for_starts(1)
    schedules.client.delete_schedule(Name=other)
    schedules.names.remove(other)
    schedules.now += timedelta(minutes=30)
    schedules.wait_for_starts(2)


def test_a_disabled_schedule_does_not_fire(schedules):
    schedules.create("rate(1 minute)", State="DISABLED")
    schedules.create("rate(1 minute)")
    schedules.wait_for_starts(1)


def test_a_schedule_whose_role_may_not_start_leaves_a_dead_letter(schedules):
    sqs = schedules.sample.cloud.client("sqs")
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    role = schedules.role({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn})
    schedules.create("rate(1 day)", role=role, Target={"DeadLetterConfig": {"Arn": arn}})
    letter = schedules.wait_for(
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"), "the dead letter"
    )[0]
    assert letter["Body"] == '{"Paths": ["a"]}'
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "AccessDeniedException"
    assert schedules.started() == []
    assert "states:StartExecution" in {denial.action for denial in schedules.sample.cloud.denied}


@pytest.mark.parametrize("handler", [rule, schedule])
def test_a_target_that_cannot_be_reached_is_an_error(sample, handler):
    target = {"Id": "t", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/photos", "RoleArn": "r"}

    class Site:
        def name(self, logical_id: str, longest: int) -> str:
            return f"{logical_id}-{uuid.uuid4().hex}"[:longest]

        client = sample.cloud.client

    properties = {"EventPattern": {"source": ["aws.s3"]}, "Target": target, "Targets": [target]}
    with pytest.raises(TemplateError, match="stream/photos"):
        handler(Site(), "Logical", properties)
