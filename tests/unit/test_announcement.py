"""The message that ends a run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.verify_run.announcement import (
    CHAT_CHARACTERS,
    chat_notification,
    publish_message,
    send_event,
    subject_of,
    text_of,
)
from stepvec.limits import EVENT_BYTES, SUBJECT_CHARACTERS
from stepvec.runs.reports import RunCost, RunReport


def report(**changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "run": "nightly", "complete": True, "message": "listed 3, embedded 2, failed 1.", "listed": 3, "embedded": 2,
        "unchanged": 0, "failed": 1, "missing": 0, "found": 2, "wrong": 0, "duplicates": 0, "ignored": 0,
        "ignored_by_suffix": {}, "failed_by_reason": {"Empty": 1}, "max_failures": 1, "missing_sample": (), "shards": 1,
        "shards_failed": 0, "shard_errors": {}, "model": "m", "vector_type": "float32", "image_bucket": "images",
        "table": "vectors", "started": "", "finished": "", "seconds": 4.0, "images_per_second": 0.5, "stages": {},
        "bytes": 9, "cost": RunCost({}, {}, 0.0, ""), "input": {},
    }  # fmt: skip
    return RunReport(**(values | changes))


class Topic:
    def __init__(self, error: Exception | None = None) -> None:
        self.published: list[dict[str, str]] = []
        self._error = error

    def publish(self, **message: str) -> None:
        if self._error:
            raise self._error
        self.published.append(message)


def test_the_message_has_the_counts_the_reasons_and_where_the_report_is() -> None:
    topic = Topic()
    publish_message(topic, "arn:topic", report(), where="s3://work/runs/nightly/report.json")
    (message,) = topic.published
    assert message["TopicArn"] == "arn:topic"
    assert message["Subject"] == "Stepvec: complete, 2 embedded, run nightly"
    for part in ("listed 3, embedded 2, failed 1.", "Empty: 1", "0.5 images/s", "s3://work/runs/nightly/report.json"):
        assert part in json.loads(message["Message"])["default"]
    assert message["MessageStructure"] == "json"


def test_what_was_ignored_and_what_failed_before_is_in_the_message() -> None:
    text = text_of(report(ignored_by_suffix={"heif": 7}, failed_before_by_reason={"Truncated": 2}), where="here")
    assert "Ignored by suffix:\n  heif: 7" in text
    assert "Failed in an earlier run, and not tried again:\n  Truncated: 2" in text


def test_an_incomplete_run_is_seen_in_the_subject() -> None:
    assert "INCOMPLETE" in subject_of(report(complete=False))


@pytest.mark.parametrize("run", ["x" * 80, "größer 🖼"])
def test_a_subject_is_ascii_and_short_enough_for_sns(run: str) -> None:
    subject = subject_of(report(run=run, embedded=10**8))
    assert subject.isascii()
    assert len(subject) < SUBJECT_CHARACTERS


def test_a_run_without_failures_lists_no_reasons() -> None:
    assert "by reason" not in text_of(report(failed_by_reason={}), where="here")


def test_a_message_that_cannot_be_sent_does_not_fail_the_run() -> None:
    refused = ClientError({"Error": {"Code": "AuthorizationError", "Message": "no"}}, "Publish")
    publish_message(Topic(refused), "arn:topic", report(), where="here")


def test_a_chat_gets_a_custom_notification_without_markup_of_keys() -> None:
    text = text_of(report(ignored_by_suffix={"<b>&x": 1}), where="here")
    notification = chat_notification("nightly", "title", text)
    assert (notification["version"], notification["source"]) == ("1.0", "custom")
    assert "&lt;b&gt;&amp;x: 1" in notification["content"]["description"]
    assert notification["metadata"]["threadId"] == "nightly"
    long = chat_notification("nightly", "title", "x" * 10**5)
    assert len(long["content"]["description"]) == CHAT_CHARACTERS


class Bus:
    def __init__(self, refuses: bool = False) -> None:
        self.entries: list[dict[str, Any]] = []
        self._refuses = refuses

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self._refuses:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "no"}]}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


def test_the_event_names_the_execution_and_has_the_counts() -> None:
    bus = Bus()
    send_event(bus, "arn:execution", {"run": "nightly", "embedded": 2})
    (entry,) = bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("stepvec", "Stepvec Run Ended")
    assert entry["Resources"] == ["arn:execution"]
    assert json.loads(entry["Detail"]) == {"run": "nightly", "embedded": 2}
    assert sum(len(str(value).encode()) for value in entry.values()) < EVENT_BYTES


def test_an_event_that_eventbridge_refuses_is_logged_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    send_event(Bus(refuses=True), "arn:execution", {"run": "nightly"})
    assert "EventBridge refused the run's event" in caplog.text
