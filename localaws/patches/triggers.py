"""Patches of what starts things by itself: S3's events, EventBridge's rules, schedules."""

from __future__ import annotations

import copy
import itertools
import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from moto.events.models import Rule, events_backends
from moto.s3 import notifications
from moto.scheduler.models import scheduler_backends

from localaws.patches.notifications import EVENTS, publish, send_to_queue
from localaws.scheduler import ScheduleRecord

_REASONS: Final = {
    "Put": "PutObject",
    "Post": "POST Object",
    "Copy": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
    "Delete": "DeleteObject",
}
_sequence = itertools.count(time.time_ns())


def send_s3_events() -> None:
    """moto's event has one id for all, `eTag` for `etag`, one sequencer, a number as its time, other reasons.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """

    def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
        stored: dict[str, Any] = {"key": key.name}
        if "ObjectRemoved" not in event_name:
            stored |= {"size": key.size, "etag": key.etag.replace('"', "")}
        if bucket.is_versioned:
            stored["version-id"] = key.version_id
        stored["sequencer"] = f"{next(_sequence):018X}"
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": notifications._detail_type(event_name),
            "source": "aws.s3",
            "account": account_id,
            "time": _timestamp(time.time()),
            "region": bucket.region_name,
            "resources": [bucket.arn],
            "detail": {
                "version": "0",
                "bucket": {"name": bucket.name},
                "object": stored,
                "request-id": uuid.uuid4().hex[:16].upper(),
                "requester": account_id,
                "source-ip-address": "127.0.0.1",
                "reason": _REASONS.get(event_name.rsplit(":", 1)[-1], event_name.rsplit(":", 1)[-1]),
            },
        }
        _fire(account_id, bucket.region_name, event)

    notifications._send_event_bridge_message = send


def deliver_to_targets() -> None:
    """moto fires disabled rules, needs no permission of the queue's policy, and knows no dead letters."""

    def send_to_targets(rule: Any, original_event: Any, transform_input: bool = True) -> None:  # noqa: ARG001
        event = copy.deepcopy(dict(original_event))
        event.pop("ingestion-time", None)
        if isinstance(event.get("time"), (int, float)):
            event["time"] = _timestamp(event["time"])
        if rule.state != "ENABLED" or not rule.event_pattern.matches_event(event):
            return
        for target in list(rule.targets):
            dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
            if not _send(rule, target["Arn"], event) and dead_letters:
                _send(rule, dead_letters, event)

    Rule.send_to_targets = send_to_targets


def _send(rule: Any, target_arn: str, event: Mapping[str, Any]) -> bool:
    """Gives the event to a queue or a topic, if its policy lets the rule do so."""
    send = publish if target_arn.split(":")[2] == "sns" else send_to_queue
    return send(EVENTS, rule.arn, target_arn, json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def send_event(account: str, region: str, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
    """Sends what a service of AWS would: an event whose source begins with "aws.", which PutEvents refuses."""
    _fire(
        account,
        region,
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account,
            "time": _timestamp(time.time()),
            "region": region,
            "resources": [],
            "detail": dict(detail),
        },
    )


def _fire(account: str, region: str, event: Mapping[str, Any]) -> None:
    for rule in list(events_backends[account][region].event_buses["default"].rules.values()):
        rule.send_to_targets(event, transform_input=False)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def schedules(account: str, region: str) -> list[ScheduleRecord]:
    """Every schedule that there is now."""
    groups = scheduler_backends[account][region].schedule_groups
    return [
        ScheduleRecord(
            arn=one.arn,
            name=one.name,
            expression=one.schedule_expression,
            timezone=one.schedule_expression_timezone,
            modified=one.last_modified_date,
            is_enabled=one.state == "ENABLED",
            target=one.target,
        )
        for group in list(groups.values())
        for one in list(group.schedules.values())
    ]


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "s3_events": send_s3_events,
    "events_targets": deliver_to_targets,
}
