"""What starts things by itself: EventBridge rules, schedules, event source mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from localaws.errors import TemplateError
from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates

_EVENT_SOURCES: Final = frozenset({"aws.s3"})
"""Services that send events here; a rule for any other fires only by `EmbeddedCloud.send_event`."""
_RULE_TARGETS: Final = ("sns", "sqs")
_SCHEDULE_TARGETS: Final = ("states",)


@handles(
    "AWS::Events::Rule",
    applied={"Name", "EventPattern", "State", "Targets"},
    harmless={"Description"},
    fixed={"Name"},
)
def rule(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a rule of the default bus whose targets are queues and topics."""
    name = properties.get("Name") or site.name(logical_id, 64)
    silent = set(properties["EventPattern"].get("source", [])) - _EVENT_SOURCES
    if silent:
        site.leave_out(logical_id, "AWS::Events::Rule", f"nothing here sends events of {', '.join(sorted(silent))}")
    events = site.client("events")
    arn = events.put_rule(
        Name=name,
        EventPattern=json.dumps(properties["EventPattern"]),
        State=properties.get("State", "ENABLED"),
    )["RuleArn"]
    for target in properties.get("Targets", []):
        _check_target(target["Arn"], _RULE_TARGETS, logical_id)
        for setting in sorted(set(target) - {"Arn", "Id", "DeadLetterConfig", "RetryPolicy"}):
            site.leave_out(logical_id, "AWS::Events::Rule", f"its target's {setting} has no effect locally")
        events.put_targets(Rule=name, Targets=[target])
    return Deployed(name, {"Arn": arn})


@updates("AWS::Events::Rule")
def update_rule(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes pattern, state and targets."""
    deployed = rule(site, logical_id, {**change.after, "Name": change.name})
    kept = {target["Id"] for target in change.after.get("Targets", [])}
    gone = [target["Id"] for target in change.before.get("Targets", []) if target["Id"] not in kept]
    if gone:
        site.client("events").remove_targets(Rule=change.name, Ids=gone)
    return deployed


@removes("AWS::Events::Rule")
def remove_rule(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:
    """Deletes a rule and its targets."""
    events = site.client("events")
    ids = [target["Id"] for target in properties.get("Targets", [])]
    if ids:
        events.remove_targets(Rule=deployed.physical_id, Ids=ids)
    events.delete_rule(Name=deployed.physical_id)


@handles(
    "AWS::CloudWatch::Alarm",
    applied={
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluateLowSampleCountPercentile",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "InsufficientDataActions",
        "MetricName",
        "Metrics",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Threshold",
        "ThresholdMetricId",
        "TreatMissingData",
        "Unit",
    },
    fixed={"AlarmName"},
    is_idempotent=True,
)
def alarm(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates an alarm. No metric is collected here: its state changes by SetAlarmState alone, and then it acts."""
    name = properties.get("AlarmName") or site.name(logical_id, 255)
    settings = {key: value for key, value in properties.items() if key not in ("AlarmName", "Tags")}
    site.client("cloudwatch").put_metric_alarm(AlarmName=name, **settings)
    site.leave_out(logical_id, "AWS::CloudWatch::Alarm", "no metric is collected: only SetAlarmState sets it off")
    arn = f"arn:aws:cloudwatch:{site.context.region}:{site.context.account}:alarm:{name}"
    return Deployed(name, {"Arn": arn})


@removes("AWS::CloudWatch::Alarm")
def remove_alarm(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes an alarm."""
    site.client("cloudwatch").delete_alarms(AlarmNames=[deployed.physical_id])


@handles(
    "AWS::Scheduler::Schedule",
    applied={"Name", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target"},
    harmless={"Description", "FlexibleTimeWindow"},
    fixed={"Name"},
)
def schedule(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a schedule that starts executions."""
    name = properties.get("Name") or site.name(logical_id, 64)
    settings = _schedule_settings(site, logical_id, name, properties)
    return Deployed(name, {"Arn": site.client("scheduler").create_schedule(**settings)["ScheduleArn"]})


@updates("AWS::Scheduler::Schedule")
def update_schedule(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes times, state and target."""
    settings = _schedule_settings(site, logical_id, change.name, change.after)
    site.client("scheduler").update_schedule(**settings)
    return change.deployed


@removes("AWS::Scheduler::Schedule")
def remove_schedule(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a schedule."""
    site.client("scheduler").delete_schedule(Name=deployed.physical_id)


def _schedule_settings(site: Site, logical_id: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    target = properties["Target"]
    _check_target(target["Arn"], _SCHEDULE_TARGETS, logical_id)
    # As AWS does when it is created: the role must trust the service.
    site.context.credentials.for_role(target["RoleArn"], name, "scheduler.amazonaws.com")
    return {
        "Name": name,
        "ScheduleExpression": properties["ScheduleExpression"],
        "ScheduleExpressionTimezone": properties.get("ScheduleExpressionTimezone", "UTC"),
        "FlexibleTimeWindow": properties["FlexibleTimeWindow"],
        "State": properties.get("State", "ENABLED"),
        "Target": target,
    }


@handles(
    "AWS::Lambda::EventSourceMapping",
    applied={
        "EventSourceArn",
        "FunctionName",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "Enabled",
    },
    harmless={"ScalingConfig"},
    fixed={"EventSourceArn"},
)
def event_source_mapping(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:  # noqa: ARG001
    """Creates a mapping of a queue to a function, which polls from then on."""
    settings = {name: value for name, value in properties.items() if name not in ("Tags", "ScalingConfig")}
    created = site.client("lambda").create_event_source_mapping(**settings)
    return Deployed(created["UUID"], {"Id": created["UUID"]})


@updates("AWS::Lambda::EventSourceMapping")
def update_event_source_mapping(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes function, batches and window."""
    names = ("FunctionName", "BatchSize", "MaximumBatchingWindowInSeconds", "Enabled")
    settings = {name: change.after[name] for name in names if name in change.after}
    site.client("lambda").update_event_source_mapping(UUID=change.name, **settings)
    return change.deployed


@removes("AWS::Lambda::EventSourceMapping")
def remove_event_source_mapping(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a mapping, which polls no more."""
    site.client("lambda").delete_event_source_mapping(UUID=deployed.physical_id)


def _check_target(arn: str, services: tuple[str, ...], logical_id: str) -> None:
    if arn.split(":")[2] not in services:
        raise TemplateError(
            f"The target of {logical_id} is {arn}, which the embedded AWS cannot reach.",
            remedy=f"Locally a target is one of {', '.join(services)}; add others in localaws/handlers/triggers.py.",
        )
