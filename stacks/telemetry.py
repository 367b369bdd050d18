"""Log groups and metrics of a deployment: our own metrics by name, and those that AWS has of its parts."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.config import PipelineConfig
from stepvec.metrics import DEPLOYMENT_DIMENSION, NAMESPACE, Metric

MINUTE: Final = cdk.Duration.minutes(1)
FIVE_MINUTES: Final = cdk.Duration.minutes(5)


def log_group(scope: Construct, construct_id: str, config: PipelineConfig, key: kms.IKey | None) -> logs.LogGroup:
    """A log group with the deployment's retention and key, deleted with its stack."""
    group = logs.LogGroup(scope, construct_id, encryption_key=key, removal_policy=cdk.RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)  # noqa: S101 - what LogGroup is made of
    # The property takes any number that CloudWatch takes; the L2's enum would need a table of names.
    resource.retention_in_days = config.log_retention_days
    return group


def own(metric: Metric, deployment: str, *, statistic: str = "Sum", value: str = "") -> cloudwatch.Metric:
    """A metric that a function of `deployment` writes; `value` is that of its second dimension, where it has one."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=metric.name,
        dimensions_map={DEPLOYMENT_DIMENSION: deployment, **({metric.dimension: value} if value else {})},
        statistic=statistic,
        period=MINUTE,
        label=value or metric.name,
    )


def own_by_value(metric: Metric, deployment: str) -> list[cloudwatch.Metric]:
    """A metric for each value of `metric`'s second dimension."""
    return [own(metric, deployment, value=value) for value in metric.values]


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
