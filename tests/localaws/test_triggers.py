"""Contract: S3's events, EventBridge's rules and Lambda's queues, as AWS documents them."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import Message, Queue

CONSUME = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


class Queues:
    """Queues, rules and mappings of one test."""

    def __init__(self, sample: Any, wait_for: Any) -> None:
        self.sample = sample
        self.wait_for = wait_for
        self.sqs = sample.cloud.client("sqs")
        self.events = sample.cloud.client("events")
        self.functions = sample.cloud.client("lambda")

    def queue(self, **attributes: Any) -> str:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()}
        return str(self.sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=texts)["QueueUrl"])

    def arn(self, url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def with_dead_letters(self, receives: int) -> tuple[str, str]:
        dead = self.queue()
        policy = {"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": receives}
        return self.queue(RedrivePolicy=policy, VisibilityTimeout="5"), dead

    def bodies(self, url: str) -> list[str]:
        """What is visible in a queue, taken out of it."""
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return [one["Body"] for one in found]

    def count(self, url: str) -> int:
        """Messages of a queue, those in flight too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)

    def rule(self, pattern: dict[str, Any], url: str, *, allowed: bool = True, **target: Any) -> str:
        name = f"rule-{uuid.uuid4().hex}"
        arn = str(self.events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"])
        self.events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": self.arn(url), **target}])
        if allowed:
            self.allow(url, arn)
        return name

    def allow(self, url: str, rule_arn: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn(url),
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [statement]})})

    def put(self, *keys: str) -> None:
        for key in keys:
            self.sample.s3.put_object(Bucket=self.sample.data["BucketName"], Key=key, Body=b"x")

    def map(self, url: str, *actions: str, **settings: Any) -> str:
        """A function that takes the queue's messages, its role allowed `actions` on it; the mapping's id."""
        bucket = self.sample.data["BucketArn"]
        role = self.sample.role_with(
            "lambda.amazonaws.com",
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{bucket}/open/*"},
            *({"Effect": "Allow", "Action": action, "Resource": self.arn(url)} for action in actions),
        )
        cloud = self.sample.cloud
        function = self.functions.create_function(
            FunctionName=f"f-{uuid.uuid4().hex}",
            Code={"S3Bucket": f"staging-{cloud.account}-{cloud.region}", "S3Key": "functions.zip"},
            Handler="handlers.handler",
            Runtime="python3.11",
            Role=role,
            Timeout=5,
            Environment={"Variables": {"FROM_TEMPLATE": self.sample.data["BucketName"]}},
        )
        mapping = self.functions.create_event_source_mapping(
            EventSourceArn=self.arn(url),
            FunctionName=function["FunctionName"],
            **{"FunctionResponseTypes": ["ReportBatchItemFailures"], **settings},
        )
        return str(mapping["UUID"])

    def send(self, url: str, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=url, MessageBody=body)

    def batches(self, url: str) -> list[list[dict[str, Any]]]:
        """The batches that the function was invoked with, in order."""
        bucket, prefix = self.sample.data["BucketName"], f"open/batches/{url.rsplit('/', 1)[-1]}/"
        entries = self.sample.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        objects = (self.sample.s3.get_object(Bucket=bucket, Key=entry["Key"]) for entry in entries)
        return [json.loads(one["Body"].read()) for one in objects]


@pytest.fixture
def queues(sample: Any, polling: Any) -> Queues:
    return Queues(sample, polling)


def uploads(folder: str) -> dict[str, Any]:
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"object": {"key": [{"prefix": folder}]}},
    }


def test_an_upload_is_an_event_as_aws_writes_it(queues):
    """[s3_events]"""
    url, folder = queues.queue(), f"{uuid.uuid4()}/"
    queues.rule(uploads(folder), url)
    key = f"{folder}a b+ü%20.jpg"
    queues.put(key)
    queues.put(key)
    first, second = (json.loads(body) for body in queues.bodies(url))
    assert first["detail"]["object"] | {"sequencer": ""} == {
        "key": key,
        "size": 1,
        "etag": "9dd4e461268c8034f5c8564e155c67a6",
        "sequencer": "",
    }
    assert first["detail"]["bucket"] == {"name": queues.sample.data["BucketName"]}
    assert first["detail"]["reason"] == "PutObject"
    assert first["time"].endswith("Z")
    assert uuid.UUID(first["id"]) != uuid.UUID(second["id"])
    assert first["detail"]["object"]["sequencer"] < second["detail"]["object"]["sequencer"]


def test_a_pattern_takes_suffixes_in_any_case(queues):
    url, folder = queues.queue(), f"{uuid.uuid4()}/"
    patterns = [{"suffix": {"equals-ignore-case": f"{folder[:8]}.jpg"}}]
    queues.rule({"detail-type": ["Object Created"], "detail": {"object": {"key": patterns}}}, url)
    queues.put(f"{folder}{folder[:8]}.JPG", f"{folder}{folder[:8]}.txt", f"{folder}{folder[:8]}.jpg")
    assert len(queues.bodies(url)) == 2


def test_a_disabled_rule_is_silent(queues):
    """[events_targets]"""
    url, folder = queues.queue(), f"{uuid.uuid4()}/"
    name = queues.rule(uploads(folder), url)
    queues.events.disable_rule(Name=name)
    queues.put(f"{folder}a.jpg")
    queues.events.enable_rule(Name=name)
    queues.put(f"{folder}b.jpg")
    assert [json.loads(body)["detail"]["object"]["key"] for body in queues.bodies(url)] == [f"{folder}b.jpg"]


def test_without_the_queues_permission_an_event_becomes_a_dead_letter(queues):
    """[events_targets]"""
    url, dead, folder = queues.queue(), queues.queue(), f"{uuid.uuid4()}/"
    name = queues.rule(uploads(folder), url, allowed=False, DeadLetterConfig={"Arn": queues.arn(dead)})
    queues.allow(dead, queues.events.describe_rule(Name=name)["Arn"])
    queues.put(f"{folder}a.jpg")
    assert queues.bodies(url) == []
    assert len(queues.bodies(dead)) == 1
    assert ("events.amazonaws.com", queues.arn(url)) in {
        (denial.principal, denial.resource) for denial in queues.sample.cloud.denied
    }


def test_messages_of_a_window_are_one_batch(queues):
    """[lambda_event_sources]"""
    url = queues.queue()
    queues.map(url, *CONSUME, BatchSize=100, MaximumBatchingWindowInSeconds=2)
    bodies = [f"m{number}" for number in range(25)]
    queues.send(url, *bodies)
    (batch,) = queues.wait_for(lambda: queues.batches(url), "a batch")
    assert sorted(record["body"] for record in batch) == sorted(bodies)
    record = batch[0]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == queues.arn(url)
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    queues.wait_for(lambda: queues.count(url) == 0, "the messages' end")
    assert len(queues.batches(url)) == 1


def test_a_full_batch_does_not_wait_for_its_window(queues):
    """[lambda_event_sources]"""
    url = queues.queue()
    queues.map(url, *CONSUME, BatchSize=3, MaximumBatchingWindowInSeconds=300)
    queues.send(url, "1", "2", "3", "4")
    (batch,) = queues.wait_for(lambda: queues.batches(url), "a batch")
    assert len(batch) == 3


def test_only_the_messages_that_the_answer_names_come_again_and_end_as_dead_letters(queues):
    """[lambda_event_sources]"""
    url, dead = queues.with_dead_letters(2)
    queues.map(url, *CONSUME)
    queues.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    queues.send(url, "good", "fail")
    assert queues.wait_for(lambda: queues.bodies(dead), "the dead letter") == ["fail"]
    assert queues.count(url) == 0
    received = [record["body"] for batch in queues.batches(url) for record in batch]
    assert sorted(received) == ["fail", "fail", "good"]


@pytest.mark.parametrize("body", ["raise", "unreadable answer"])
def test_after_an_error_or_an_unreadable_answer_the_whole_batch_comes_again(queues, body):
    """[lambda_event_sources]"""
    url, dead = queues.with_dead_letters(1)
    queues.map(url, *CONSUME, BatchSize=10, MaximumBatchingWindowInSeconds=1)
    queues.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
    queues.send(url, "good", body)
    queues.wait_for(lambda: queues.count(dead) == 2, "both dead letters")
    assert sorted(queues.bodies(dead)) == sorted(["good", body])


@pytest.mark.parametrize("missing", CONSUME)
def test_a_mapping_needs_each_permission_of_the_functions_role(queues, missing):
    """[lambda_event_sources]"""
    with pytest.raises(ClientError, match=missing.split(":")[1]):
        queues.map(queues.queue(), *(action for action in CONSUME if action != missing))


@pytest.mark.parametrize(
    ("attributes", "settings", "named"),
    [({"VisibilityTimeout": "4"}, {}, "visibility timeout"), ({}, {"BatchSize": 11}, "batch window")],
)
def test_a_mapping_that_aws_refuses(queues, attributes, settings, named):
    """[lambda_event_sources]"""
    with pytest.raises(ClientError, match=named):
        queues.map(queues.queue(**attributes), *CONSUME, **settings)


def test_a_deleted_mapping_polls_no_more(queues):
    url = queues.queue()
    mapping = queues.map(url, *CONSUME)
    queues.send(url, "one")
    queues.wait_for(lambda: queues.batches(url), "a batch")
    queues.functions.delete_event_source_mapping(UUID=mapping)
    names = {f"event-source-{mapping}"}
    queues.wait_for(lambda: not names & {thread.name for thread in threading.enumerate()}, "the poller's end")
    queues.send(url, "two")
    assert queues.bodies(url) == ["two"]


def test_a_message_sent_while_another_is_deleted_is_kept(sample):
    """[sqs_delete]"""
    queue = Queue("q", "us-east-1", "123456789012")
    sender = threading.Thread(target=lambda: queue.add_message(Message("new", "body")))

    class Messages(list):  # type: ignore[type-arg]
        """Sends when they have been looked through, which is just before moto puts the new list in their place."""

        def __iter__(self):
            yield from super().__iter__()
            if sender.ident is None:
                sender.start()
                sender.join(0.2)

    old = Message("old", "body")
    queue.add_message(old)
    old.mark_received(visibility_timeout=30)
    queue._messages = Messages([old])
    queue.delete_message(old.receipt_handle)
    sender.join()
    assert [message.id for message in queue._messages] == ["new"]


def test_other_attributes_leave_the_policy(queues):
    """[sqs_policy]"""
    url = queues.queue()
    queues.allow(url, "arn:aws:events:us-east-1:123456789012:rule/any")
    queues.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    attributes = queues.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "7"
    assert "events.amazonaws.com" in attributes["Policy"]
