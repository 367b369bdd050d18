"""Contract: what services of AWS publish to topics by themselves, and what a topic's policy says to it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

CLOUDWATCH = "cloudwatch.amazonaws.com"
EVENTS = "events.amazonaws.com"


class Topic:
    """A topic whose messages arrive in a queue, an alarm that acts on it, and a rule that sends to it."""

    def __init__(self, sample: Any, policy: list[dict[str, Any]] | None) -> None:
        self.sample = sample
        self.alarms = sample.cloud.client("cloudwatch")
        self.sqs = sample.cloud.client("sqs")
        sns = sample.cloud.client("sns")
        name = f"t-{uuid.uuid4().hex}"
        self.arn = sns.create_topic(Name=name)["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = f"arn:aws:sqs:{sample.cloud.region}:{sample.cloud.account}:{name}"
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue_arn)
        if policy is not None:
            statements = [{"Action": "sns:Publish", "Resource": self.arn, **statement} for statement in policy]
            sns.set_topic_attributes(
                TopicArn=self.arn, AttributeName="Policy", AttributeValue=json.dumps({"Statement": statements})
            )

    def alarm(self, **settings: Any) -> str:
        name = f"a-{uuid.uuid4().hex}"
        math = [
            {"Id": "sum", "Expression": "FILL(m, 0)", "Label": "all"},
            {
                "Id": "m",
                "ReturnData": False,
                "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 300, "Stat": "Sum"},
            },
        ]
        self.alarms.put_metric_alarm(
            AlarmName=name,
            Metrics=math,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            AlarmActions=[self.arn],
            **settings,
        )
        return name

    def set_off(self, name: str, state: str = "ALARM") -> None:
        self.alarms.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    def messages(self) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(json.loads(one["Body"])["Message"]) for one in found]

    def history(self, name: str) -> list[str]:
        items = self.alarms.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        return [json.loads(item["HistoryData"])["actionState"] for item in items]


def allow(service: str, **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}}
    return {**statement, "Condition": condition} if condition else statement


TLS_ONLY = {"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
ACCOUNT = {"StringEquals": {"aws:SourceAccount": "123456789012"}}


@pytest.mark.parametrize(
    ("policy", "arrives"),
    [
        pytest.param(None, True, id="the default policy"),
        pytest.param([allow(CLOUDWATCH)], True, id="named"),
        pytest.param([allow(CLOUDWATCH, **ACCOUNT), TLS_ONLY], True, id="of this account"),
        pytest.param(
            [allow(CLOUDWATCH, ArnLike={"aws:SourceArn": "arn:aws:cloudwatch:*:123456789012:alarm:*"})], True, id="ARN"
        ),
        pytest.param([allow(CLOUDWATCH, StringEquals={"aws:SourceAccount": "2"})], False, id="of another account"),
        pytest.param([allow(CLOUDWATCH, ArnLike={"aws:SourceArn": "arn:aws:cloudwatch:*:2:*"})], False, id="other ARN"),
        pytest.param([allow(EVENTS), TLS_ONLY], False, id="only EventBridge"),
        pytest.param([allow(CLOUDWATCH), {"Effect": "Deny", "Principal": "*"}], False, id="denied"),
    ],
)
def test_an_alarm_publishes_if_the_topics_policy_lets_it(sample, policy, arrives):
    """[cloudwatch_alarm_actions]"""
    topic = Topic(sample, policy)
    name = topic.alarm(AlarmDescription="what it means")
    topic.set_off(name)
    denied = [one for one in sample.cloud.denied if one.resource == topic.arn]
    if not arrives:
        assert topic.messages() == []
        assert topic.history(name) == ["Failed"]
        assert [(one.principal, one.action) for one in denied] == [(CLOUDWATCH, "sns:Publish")]
        return
    (message,) = topic.messages()
    assert denied == []
    assert topic.history(name) == ["Succeeded"]
    told = ("AlarmName", "AlarmDescription", "OldStateValue", "NewStateValue", "NewStateReason")
    assert [message[key] for key in told] == [name, "what it means", "OK", "ALARM", "a test"]


def test_an_alarm_acts_when_its_state_changes(sample):
    topic = Topic(sample, None)
    name = topic.alarm(OKActions=[topic.arn])
    for state in ("ALARM", "ALARM", "OK"):
        topic.set_off(name, state)
    assert sorted(one["NewStateValue"] for one in topic.messages()) == ["ALARM", "OK"]
    silent = topic.alarm(ActionsEnabled=False)
    topic.set_off(silent)
    assert topic.messages() == []


@pytest.mark.parametrize(
    ("policy", "arrives"),
    [
        pytest.param([allow(EVENTS), TLS_ONLY], True, id="named"),
        pytest.param(None, False, id="the default policy"),
        pytest.param([allow(CLOUDWATCH)], False, id="only CloudWatch"),
        pytest.param([allow(EVENTS, **ACCOUNT)], False, id="with a condition, which EventBridge never meets"),
    ],
)
def test_a_rule_publishes_if_the_topics_policy_lets_it(sample, policy, arrives):
    topic, events = Topic(sample, policy), sample.cloud.client("events")
    rule = f"r-{uuid.uuid4().hex}"
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.batch"], "detail": {"jobQueue": [rule]}}))
    events.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": topic.arn}])
    sample.cloud.send_event("aws.batch", "Batch Job Queue Blocked", {"jobQueue": rule})
    sample.cloud.send_event("aws.batch", "Batch Job Queue Blocked", {"jobQueue": "another"})
    details = [one["detail"] for one in topic.messages()]
    assert details == ([{"jobQueue": rule}] if arrives else [])
