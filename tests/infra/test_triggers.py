"""The triggers in the template: there when the configuration asks for them, and no more than they need."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from stacks.config import settings_of
from stacks.triggers import START_TIMEOUT_SECONDS, key_patterns
from stepvec import limits
from stepvec.errors import ConfigurationError
from tests.infra.conftest import Synthesize
from tests.infra.test_templates import PIPELINE, listed, of_type, one, statements

SETTINGS = {
    "upload_trigger": True,
    "upload_window_seconds": 300,
    "schedule": "cron(0 3 * * ? *)",
    "schedule_timezone": "Europe/Vienna",
    "schedule_paths": ["images", "more"],
    "schedule_window_minutes": 15,
}
TRIGGER_TYPES = ("AWS::Scheduler::Schedule", "AWS::SQS::Queue", "AWS::Lambda::EventSourceMapping")


@pytest.fixture
def template(synthesized: Synthesize) -> dict[str, Any]:
    return dict(synthesized(**SETTINGS).pipeline)


def test_without_the_settings_there_are_no_triggers(templates: dict[str, Any]) -> None:
    for kind in TRIGGER_TYPES:
        assert not of_type(templates[PIPELINE], kind)
    for bucket in of_type(templates["StepvecData"], "AWS::S3::Bucket").values():
        assert "NotificationConfiguration" not in bucket


def test_the_image_bucket_sends_events_without_a_custom_resource(synthesized: Synthesize) -> None:
    templates = synthesized(**SETTINGS).templates
    buckets = of_type(templates["StepvecData"], "AWS::S3::Bucket")
    sending = [name for name, bucket in buckets.items() if "NotificationConfiguration" in bucket]
    assert len(sending) == 1
    assert "Images" in sending[0]
    kinds = {resource["Type"] for one_of in templates.values() for resource in one_of["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("Custom::")]


def test_the_queues_are_encrypted_tls_only_and_patient(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    policies = [policy["PolicyDocument"] for policy in of_type(template, "AWS::SQS::QueuePolicy").values()]
    assert len(policies) == len(queues) == 3
    for policy in policies:
        assert [one_of["Effect"] for one_of in policy["Statement"] if "Bool" in one_of.get("Condition", {})] == ["Deny"]
    (uploads,) = (queue for queue in queues.values() if "RedrivePolicy" in queue)
    assert uploads["VisibilityTimeout"] >= limits.QUEUE_VISIBILITY_TIMEOUTS * START_TIMEOUT_SECONDS + 300
    assert uploads["RedrivePolicy"]["maxReceiveCount"] >= 5
    dead = [queue["MessageRetentionPeriod"] for queue in queues.values() if "RedrivePolicy" not in queue]
    assert all(uploads["MessageRetentionPeriod"] < seconds <= 14 * 86_400 for seconds in dead)


def test_many_uploads_are_one_invocation(template: dict[str, Any]) -> None:
    mapping = one(template, "AWS::Lambda::EventSourceMapping")
    assert mapping["BatchSize"] == limits.QUEUE_BATCH_MESSAGES
    assert mapping["MaximumBatchingWindowInSeconds"] == 300
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": limits.MIN_QUEUE_CONCURRENCY}


def test_the_schedule_starts_the_machine_with_its_input(template: dict[str, Any]) -> None:
    schedule = one(template, "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == SETTINGS["schedule"]
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Vienna"
    assert schedule["FlexibleTimeWindow"] == {"MaximumWindowInMinutes": 15, "Mode": "FLEXIBLE"}
    target = schedule["Target"]
    assert json.loads(target["Input"]) == {"Paths": ["images", "more"], "MaxFailures": 0}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert "Arn" in target["DeadLetterConfig"]
    (resource,) = (one_of for one_of in template["Resources"].values() if one_of["Type"] == "AWS::Scheduler::Schedule")
    assert [name for name in resource["DependsOn"] if "Policy" in name], "it may fire before its role may start"


def test_each_role_may_do_what_it_needs_and_no_more(template: dict[str, Any]) -> None:
    policies = of_type(template, "AWS::IAM::Policy")
    allowed = {
        wanted: {
            action
            for policy in policies.values()
            if wanted in policy["PolicyName"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
        }
        for wanted in ("StartOnUploadRole", "ScheduleRole")
    }
    assert allowed == {
        "StartOnUploadRole": {
            "logs:CreateLogStream", "logs:PutLogEvents", "s3:PutObject", "states:StartExecution",
            "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
        },
        "ScheduleRole": {"states:StartExecution", "sqs:SendMessage"},
    }  # fmt: skip
    for statement in statements(template):
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_a_pattern_is_of_prefixes_or_of_all_keys() -> None:
    assert key_patterns(()) == key_patterns(("/",)) == key_patterns(("/", "images")) == [{"exists": True}]
    assert key_patterns(("images", "images/sub", "/more/")) == [{"prefix": "/more/"}, {"prefix": "images/"}]
    with pytest.raises(ConfigurationError, match="300 prefixes"):
        key_patterns(tuple(f"prefix-{number:03}" for number in range(300)))


def test_settings_come_from_the_environment_too() -> None:
    assert settings_of({}) == {}
    assert settings_of({"STEPVEC_SETTINGS": '{"upload_trigger": true}'}) == {"upload_trigger": True}
    for wrong in ("yes", "[]"):
        with pytest.raises(ConfigurationError, match="STEPVEC_SETTINGS"):
            settings_of({**os.environ, "STEPVEC_SETTINGS": wrong})
