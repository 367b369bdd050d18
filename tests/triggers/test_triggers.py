"""Runs that start by themselves: by uploads, and by a schedule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

from stacks.triggers import key_patterns
from tests.local.conftest import photo, wait_until
from tests.triggers.conftest import Triggered

PHOTOS = 50


@contextmanager
def events_of(triggered: Triggered) -> Iterator[list[str]]:
    """The events that EventBridge sends meanwhile, read from a second target of the rule."""
    events = triggered.cloud.client("events")
    (rule,) = [rule for rule in events.list_rules()["Rules"] if "Object Created" in rule.get("EventPattern", "")]
    url = triggered.sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = triggered.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    triggered.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [statement]})})
    events.put_targets(Rule=rule["Name"], Targets=[{"Id": "second", "Arn": arn}])
    bodies: list[str] = []
    yield bodies
    events.remove_targets(Rule=rule["Name"], Ids=["second"])
    while found := triggered.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in found]
    triggered.sqs.delete_queue(QueueUrl=url)


def test_fifty_uploads_start_one_run_and_the_same_messages_again_start_none(triggered: Triggered) -> None:
    known = triggered.executions()
    keys = [f"uploads/{number} ü+%.{suffix}" for number, suffix in enumerate(["jpg", "JPG"] * (PHOTOS // 2))]
    photos = [photo(number) for number in range(PHOTOS)]
    with events_of(triggered) as events:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(triggered.put, keys, photos))
        triggered.put("uploads/notes.txt", b"no image")
        triggered.put("uploads/folder/", b"")
        triggered.put("elsewhere/1.jpg", photo(1))
        (execution,) = triggered.wait_for_new(known)
        triggered.wait_until_taken()
    assert len(events) == PHOTOS + 2
    assert execution["name"].startswith("upload-")
    output = triggered.output(execution)
    assert (output["listed"], output["embedded"], output["found"]) == (PHOTOS, PHOTOS, PHOTOS)
    assert all(triggered.row(key).key == key for key in keys)
    assert not triggered.has_row("elsewhere/1.jpg")

    # SQS and EventBridge deliver at least once: all of it again, in another order.
    known = triggered.executions()
    for body in reversed(events):
        triggered.sqs.send_message(QueueUrl=triggered.queue, MessageBody=body)
    triggered.wait_until_taken()
    assert triggered.executions() == known

    # A part of it again is another batch: its run finds everything unchanged.
    for body in events[:10]:
        triggered.sqs.send_message(QueueUrl=triggered.queue, MessageBody=body)
    (again,) = triggered.wait_for_new(known)
    output = triggered.output(again)
    assert (output["embedded"], output["unchanged"], output["failed"]) == (0, output["listed"], 0)
    assert triggered.in_queue(triggered.dead_letters) == 0
    assert triggered.cloud.denied == []


def test_a_message_that_cannot_be_read_becomes_a_dead_letter_and_the_rest_goes_through(triggered: Triggered) -> None:
    attributes = triggered.sqs.get_queue_attributes(QueueUrl=triggered.queue, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    # The same, sooner: the template has six times the function's timeout, and five tries.
    quick = {"VisibilityTimeout": "6", "RedrivePolicy": json.dumps({**redrive, "maxReceiveCount": 2})}
    triggered.sqs.set_queue_attributes(QueueUrl=triggered.queue, Attributes=quick)
    known = triggered.executions()
    triggered.sqs.send_message(QueueUrl=triggered.queue, MessageBody="poison")
    triggered.put("uploads/beside-poison.jpg", photo(60))
    (execution,) = triggered.wait_for_new(known)
    assert triggered.output(execution)["embedded"] == 1
    wait_until(lambda: triggered.in_queue(triggered.dead_letters) == 1)
    (letter,) = triggered.sqs.receive_message(QueueUrl=triggered.dead_letters)["Messages"]
    assert letter["Body"] == "poison"
    assert triggered.in_queue(triggered.queue) == 0
    assert len(triggered.executions()) == len(known) + 1
    triggered.sqs.set_queue_attributes(
        QueueUrl=triggered.queue,
        Attributes={name: attributes[name] for name in quick},
    )
    triggered.sqs.purge_queue(QueueUrl=triggered.dead_letters)


def test_an_upload_that_is_gone_or_broken_is_reported_and_fails_no_run(triggered: Triggered) -> None:
    known = triggered.executions()
    triggered.put("uploads/stays.jpg", photo(61))
    triggered.put("uploads/gone.jpg", photo(62))
    triggered.put("uploads/broken.jpg", b"not a photo")
    triggered.s3.delete_object(Bucket=triggered.deployment.image_bucket, Key="uploads/gone.jpg")
    (execution,) = triggered.wait_for_new(known)
    output = triggered.output(execution)
    assert (output["embedded"], output["failed"], output["missing"]) == (1, 2, 0)
    key = f"runs/{execution['name']}/failures.jsonl"
    lines = triggered.s3.get_object(Bucket=triggered.deployment.work_bucket, Key=key)["Body"].read().splitlines()
    assert {json.loads(line)["key"]: json.loads(line)["reason"] for line in lines} == {
        "uploads/gone.jpg": "NotFound",
        "uploads/broken.jpg": "NotAnImage",
    }


def test_without_prefixes_an_upload_starts_a_run_as_a_listing_would_take_it(triggered: Triggered) -> None:
    events = triggered.cloud.client("events")
    (rule,) = [rule for rule in events.list_rules()["Rules"] if "Object Created" in rule.get("EventPattern", "")]
    pattern = json.loads(rule["EventPattern"])
    pattern["detail"]["object"]["key"] = key_patterns(())
    events.put_rule(Name=rule["Name"], EventPattern=json.dumps(pattern))
    known = triggered.executions()
    taken = ["loose/photo.jpg?v=2", "PHOTO.JPEG", "loose/photo.png%3Fw=3"]
    try:
        for number, key in enumerate([*taken, "loose/._photo.jpg", "notes", "loose/notes.txt"]):
            triggered.put(key, photo(80 + number))
        (execution,) = triggered.wait_for_new(known)
        output = triggered.output(execution)
    finally:
        events.put_rule(Name=rule["Name"], EventPattern=rule["EventPattern"])
    assert (output["listed"], output["embedded"], output["ignored"]) == (3, 3, 0)
    assert all(triggered.has_row(key) for key in taken)


def test_of_uploads_nothing_is_kept_for_later_runs(triggered: Triggered) -> None:
    work = triggered.deployment.work_bucket
    known = triggered.executions()
    triggered.put("uploads/broken-again.jpg", b"not a photo either")
    (execution,) = triggered.wait_for_new(known)
    assert triggered.output(execution)["failed"] == 1
    found = triggered.s3.list_objects_v2(Bucket=work, Prefix="known-failures/")
    assert not found.get("Contents")


def test_a_photo_that_is_overwritten_before_its_run_is_embedded_once_as_it_is_now(triggered: Triggered) -> None:
    known = triggered.executions()
    for seed in (63, 64):
        triggered.put("uploads/twice.jpg", photo(seed))
    (execution,) = triggered.wait_for_new(known)
    output = triggered.output(execution)
    assert (output["listed"], output["embedded"]) == (1, 1)
    head = triggered.s3.head_object(Bucket=triggered.deployment.image_bucket, Key="uploads/twice.jpg")
    assert triggered.row("uploads/twice.jpg").etag == head["ETag"].strip('"')


def test_the_schedule_fires_each_minute_and_the_second_run_only_lists(triggered: Triggered) -> None:
    for number in range(3):
        triggered.put(f"scheduled/{number}.jpg", photo(70 + number))
    known = triggered.executions()
    triggered.pass_time(timedelta(minutes=1))
    (first,) = triggered.wait_for_new(known)
    output = triggered.output(first)
    assert (output["embedded"], output["unchanged"]) == (3, 0)

    known = triggered.executions()
    triggered.pass_time(timedelta(minutes=1))
    (second,) = triggered.wait_for_new(known)
    output = triggered.output(second)
    assert (output["embedded"], output["unchanged"], output["found"]) == (0, 3, 3)
    key = f"runs/{second['name']}/report.json"
    report = triggered.s3.get_object(Bucket=triggered.deployment.work_bucket, Key=key)["Body"].read()
    assert json.loads(report)["shards"] == 0
