"""The metrics of a deployment: our own by name, and those that AWS has of its parts."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events

from stepvec.adapters.telemetry import NAMESPACE

MINUTE: Final = cdk.Duration.minutes(1)
FIVE_MINUTES: Final = cdk.Duration.minutes(5)


def own(name: str, deployment: str, *, statistic: str = "Sum", **part: str) -> cloudwatch.Metric:
    """A metric that a function writes; `part` is a second dimension, such as reason="Empty".

    Its dimension `service` is the stack's name, so that deployments never mix.
    """
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": deployment, **part},
        statistic=statistic,
        period=MINUTE,
        label=next(iter(part.values()), name),
    )


def of_table(name: str, table: dynamodb.ITableV2) -> cloudwatch.Metric:
    """A metric of the table as a whole.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    """
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name=name,
        dimensions_map={"TableName": table.table_name},
        statistic="Sum",
        period=FIVE_MINUTES,
        label=name,
    )


def matched_events(rule: events.Rule) -> cloudwatch.Metric:
    """How often an EventBridge rule matched.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    """
    return cloudwatch.Metric(
        namespace="AWS/Events",
        metric_name="MatchedEvents",
        dimensions_map={"RuleName": rule.rule_name},
        statistic="Sum",
        period=FIVE_MINUTES,
        label="queue blocked",
    )
