"""The dashboard: progress, failures, bottlenecks and cost of runs."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from stacks.alarms import Alarms
from stacks.data_stack import DataStack
from stacks.functions import Functions
from stacks.telemetry import FIVE_MINUTES, MINUTE, matched_events, of_table, own, own_by_value
from stacks.workflow import Workflow
from stepvec.metrics import (
    IMAGES_EMBEDDED,
    IMAGES_FAILED,
    IMAGES_FAILED_BY_REASON,
    IMAGES_LISTED,
    IMAGES_MISSING,
    IMAGES_UNCHANGED,
    RUN_SECONDS,
    RUN_USD,
    SHARDS_MADE,
    SHARDS_VERIFIED,
)

THIRD: Final = 8
"""Of a dashboard's 24 columns."""
IMAGE_COUNTS: Final = (IMAGES_LISTED, IMAGES_EMBEDDED, IMAGES_UNCHANGED, IMAGES_FAILED, IMAGES_MISSING)


class Dashboard(Construct):
    """One dashboard per deployment, named by CloudFormation."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        workflow: Workflow,
        functions: Functions,
        data: DataStack,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id)
        deployment = cdk.Stack.of(self).stack_name
        machine = workflow.state_machine
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=cdk.Duration.hours(3))
        self.dashboard.add_widgets(
            _graph("Images per second", _images_per_second(deployment)),
            _graph("Images", *(own(metric, deployment) for metric in IMAGE_COUNTS)),
            _graph("Shards waiting or running", _shards_outstanding(deployment)),
        )
        self.dashboard.add_widgets(
            _graph(
                "Failed images by reason, at the end of a run",
                *own_by_value(IMAGES_FAILED_BY_REASON, deployment),
                is_stacked=True,
            ),
            _graph(
                "Runs",
                machine.metric_started(period=FIVE_MINUTES),
                machine.metric_succeeded(period=FIVE_MINUTES),
                machine.metric_failed(period=FIVE_MINUTES),
                machine.metric_timed_out(period=FIVE_MINUTES),
                machine.metric_aborted(period=FIVE_MINUTES),
            ),
            _graph("Queue blocked: Batch cannot start its next job", matched_events(alarms.queue_blocked)),
        )
        self.dashboard.add_widgets(
            _graph(
                "DynamoDB: throttled reads and writes",
                of_table("ReadThrottleEvents", data.table),
                of_table("WriteThrottleEvents", data.table),
            ),
            _graph(
                "DynamoDB: units consumed (what is paid for)",
                of_table("ConsumedReadCapacityUnits", data.table),
                of_table("ConsumedWriteCapacityUnits", data.table),
            ),
            _graph(
                "Functions: errors and throttles",
                *(function.metric_errors(period=FIVE_MINUTES) for function in functions.all),
                *(function.metric_throttles(period=FIVE_MINUTES) for function in functions.all),
            ),
        )
        self.dashboard.add_widgets(
            _graph("Seconds of a run, at its end", own(RUN_SECONDS, deployment, statistic="Maximum")),
            _graph(
                "US dollars of a run, as far as prices are known",
                *own_by_value(RUN_USD, deployment),
                is_stacked=True,
            ),
            cloudwatch.TextWidget(width=THIRD, height=6, markdown=_HELP),
        )


_HELP: Final = """**What to do when an alarm goes off**: docs/operate.md.

**Shards waiting or running** counts within the time range shown: include the whole run.

**Cost** is known at the end of a run, from its report. `batch` needs the setting `vcpu_hour_usd`.

**Waiting jobs**: AWS Batch has no metric for them. Its console lists jobs by state."""


def _images_per_second(deployment: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression="FILL(embedded, 0) / PERIOD(embedded)",
        using_metrics={"embedded": own(IMAGES_EMBEDDED, deployment)},
        period=MINUTE,
        label="embedded and verified",
    )


def _shards_outstanding(deployment: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression="RUNNING_SUM(FILL(made, 0)) - RUNNING_SUM(FILL(verified, 0))",
        using_metrics={"made": own(SHARDS_MADE, deployment), "verified": own(SHARDS_VERIFIED, deployment)},
        period=MINUTE,
        label="shards",
    )


def _graph(title: str, *metrics: cloudwatch.IMetric, is_stacked: bool = False) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        width=THIRD,
        height=6,
        stacked=is_stacked,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
    )
