"""What the real template's alarms and rule tell: set off each, and read its message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

PIPELINE = "StepvecPipeline"


class Mailbox:
    """A queue that is subscribed to the topic of the template."""

    def __init__(self, cloud: Any) -> None:
        self._sqs = cloud.client("sqs")
        self.url = self._sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:mailbox"
        topic = cloud.outputs[PIPELINE]["TopicArn"]
        self._subscription = cloud.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
        )["SubscriptionArn"]
        self._sns = cloud.client("sns")

    def messages(self) -> list[Any]:
        found = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(json.loads(one["Body"])["Message"]) for one in found]

    def close(self) -> None:
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self.url)


@pytest.fixture
def mailbox(triggered) -> Iterator[Mailbox]:
    box = Mailbox(triggered.cloud)
    yield box
    box.close()


def test_each_alarm_tells_the_topic(triggered, mailbox):
    client = triggered.cloud.client("cloudwatch")
    alarms = client.describe_alarms()["MetricAlarms"]
    names = [alarm["AlarmName"] for alarm in alarms]
    expected = ("RunFailed", "RunTimedOut", "QueueBlocked", "TableThrottled", "FunctionsThrottled")
    assert all(any(part in name for name in names) for part in expected), names
    assert len(names) > len(expected)  # and those of the dead letters
    for alarm in alarms:
        client.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="a test")
        (message,) = mailbox.messages()
        assert message["AlarmName"] == alarm["AlarmName"]
        assert "docs/operate.md" in message["AlarmDescription"]
    assert [one for one in triggered.cloud.denied if one.principal.endswith(".amazonaws.com")] == []


def test_a_blocked_queue_tells_the_topic(triggered, mailbox):
    (queue,) = triggered.cloud.client("batch").describe_job_queues()["jobQueues"]
    triggered.cloud.send_event("aws.batch", "Batch Job Queue Blocked", {"jobQueue": queue["jobQueueArn"]})
    triggered.cloud.send_event("aws.batch", "Batch Job Queue Blocked", {"jobQueue": "another"})
    (event,) = mailbox.messages()
    assert event["detail"] == {"jobQueue": queue["jobQueueArn"]}
