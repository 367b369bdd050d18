"""Patches of what a service of AWS sends by itself: an alarm's actions, an event to a queue or a topic.

Whether it may is a matter of the target's own policy: https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localaws.iam.authorizer import Denial
from localaws.iam.policy import Decision, Requirement, evaluate, statements_for_service
from localaws.patches.running import current

EVENTS: Final = "events.amazonaws.com"
CLOUDWATCH: Final = "cloudwatch.amazonaws.com"
_HISTORY: Final = "action_history"


def send_to_queue(service: str, source_arn: str, queue_arn: str, message: str) -> bool:
    """Puts `message` into a queue in the name of an AWS service; False if there is none, or its policy forbids it."""
    _, _, _, region, account, name = queue_arn.split(":", 5)
    backend = sqs_backends[account][region]
    queue = backend.queues.get(name)
    if queue is None or not _allows(queue.policy, service, "sqs:SendMessage", queue_arn, source_arn):
        return False
    backend.send_message(name, message)
    return True


def publish(service: str, source_arn: str, topic_arn: str, message: str, subject: str | None = None) -> bool:
    """Publishes in the name of an AWS service; False if there is no such topic, or its policy forbids it."""
    _, _, _, region, account, _ = topic_arn.split(":", 5)
    topic = sns_backends[account][region].topics.get(topic_arn)
    if topic is None or not _allows(topic.policy, service, "sns:Publish", topic_arn, source_arn):
        return False
    topic.publish(message, subject=subject)
    return True


def _allows(policy: str | None, service: str, action: str, resource: str, source_arn: str) -> bool:
    authorizer, account = current().context.authorizer, source_arn.split(":")[4]
    # A service of AWS calls over TLS, whatever this machine's clients do.
    context = {"aws:securetransport": "true"}
    if (service, action) != (EVENTS, "sns:Publish"):
        # EventBridge sets no keys when it publishes: "You can't use Condition blocks in Amazon SNS topic policies for
        # EventBridge." https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        context |= {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    if service == CLOUDWATCH:
        # What SNS's default policy asks for.
        context["aws:sourceowner"] = account
    document = statements_for_service(json.loads(policy or "{}"), service)
    if not authorizer.enforcing or evaluate([document], Requirement(action, resource, context)) is Decision.ALLOWED:
        return True
    authorizer.denials.append(Denial(service, action, resource))
    return False


def act_on_alarms() -> None:
    """moto's SetAlarmState changes the state and does nothing: no action, no history."""
    original = CloudWatchBackend.set_alarm_state

    def set_alarm_state(backend: Any, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
        before = backend.alarms[alarm_name].state_value if alarm_name in backend.alarms else None
        original(backend, alarm_name, reason, reason_data, state_value)
        alarm = backend.alarms[alarm_name]
        if before != state_value and alarm.actions_enabled:
            for topic in _actions(alarm)[state_value]:
                _act(alarm, str(before), topic)

    def describe_alarm_history(response: Any) -> ActionResult:
        """Actions only: moto keeps the states that were, and this the actions."""
        name = response._get_param("AlarmName")
        alarms = response.cloudwatch_backend.alarms.values()
        items = [item for alarm in alarms if name in (None, alarm.name) for item in getattr(alarm, _HISTORY, [])]
        return ActionResult({"AlarmHistoryItems": sorted(items, key=lambda item: item["Timestamp"], reverse=True)})

    CloudWatchBackend.set_alarm_state = set_alarm_state
    CloudWatchResponse.describe_alarm_history = describe_alarm_history


def _actions(alarm: Any) -> dict[str, list[str]]:
    return {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }


def _act(alarm: Any, before: str, topic_arn: str) -> None:
    """Runs one action, and notes in the alarm's history how it went."""
    state, region = alarm.state_value, alarm.alarm_arn.split(":")[3]
    subject = f'{state}: "{alarm.name}" in {region}'
    has_sent = publish(CLOUDWATCH, alarm.alarm_arn, topic_arn, json.dumps(_message(alarm, before)), subject)
    outcome = "Successfully executed" if has_sent else "Failed to execute"
    data = {"actionState": "Succeeded" if has_sent else "Failed", "notificationResource": topic_arn}
    if not has_sent:
        data["error"] = f"User: {CLOUDWATCH} is not authorized to perform: SNS:Publish on resource: {topic_arn}"
    item = {
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": datetime.now(UTC),
        "HistoryItemType": "Action",
        "HistorySummary": f"{outcome} action {topic_arn}",
        "HistoryData": json.dumps(data),
    }
    setattr(alarm, _HISTORY, [*getattr(alarm, _HISTORY, []), item])


def _message(alarm: Any, before: str) -> Mapping[str, Any]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"""
    region, account = alarm.alarm_arn.split(":")[3:5]
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "Region": region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "Threshold": alarm.threshold,
            "EvaluationPeriods": alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "TreatMissingData": alarm.treat_missing_data,
        },
    }


PATCHES: Final[dict[str, Callable[[], None]]] = {"cloudwatch_alarm_actions": act_on_alarms}
