"""Alarms and their topic. docs/operate.md says, for each alarm, what it means and what to do."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.compute import Compute
from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.functions import Functions
from stacks.telemetry import FIVE_MINUTES, matched_events, of_table
from stacks.triggers import Triggers
from stacks.workflow import Workflow

THROTTLED_EVENTS: Final = 1_000
"""In five minutes. Retries absorb fewer: a new on-demand table throttles a little as it scales."""
THROTTLED_PERIODS: Final = 3


class Notifications(Construct):
    """The topic of the alarms and of each run's counts (TLS only), and the e-mail address of the configuration."""

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack, config: PipelineConfig) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", master_key=data.key, enforce_ssl=True)
        # The policy that enforces TLS replaces SNS's default one, which lets this account's alarms publish.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )
        if config.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))


class Alarms(Construct):
    """Runs that fail or time out, tables and functions that throttle, a queue that is stuck."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        workflow: Workflow,
        compute: Compute,
        functions: Functions,
        data: DataStack,
        notifications: Notifications,
        triggers: Triggers,
    ) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(notifications.topic)
        machine, table = workflow.state_machine, data.table
        self.queue_blocked = _blocked_rule(self, compute, notifications)
        # FILL, since alarms on AWS/DynamoDB ignore how missing data is to be treated and keep their state, and there is
        # data only while the table throttles: the first period without would leave the alarm as it is, for good.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html (TreatMissingData)
        throttles = cloudwatch.MathExpression(
            expression="FILL(reads, 0) + FILL(writes, 0)",
            using_metrics={
                "reads": of_table("ReadThrottleEvents", table),
                "writes": of_table("WriteThrottleEvents", table),
            },
            period=FIVE_MINUTES,
            label="throttled reads and writes",
        )
        function_throttles = cloudwatch.MathExpression(
            expression=" + ".join(f"FILL(f{number}, 0)" for number in range(len(functions.all))),
            using_metrics={
                f"f{number}": function.metric_throttles(period=FIVE_MINUTES)
                for number, function in enumerate(functions.all)
            },
            period=FIVE_MINUTES,
            label="throttled invocations",
        )
        self._add("RunFailed", machine.metric_failed(period=FIVE_MINUTES), "A run failed; its cause has the counts.")
        self._add(
            "RunTimedOut",
            machine.metric_timed_out(period=FIVE_MINUTES),
            "A run exceeded its time limit.",
        )
        self._add("QueueBlocked", matched_events(self.queue_blocked), "Batch cannot start the next job in the queue.")
        self._add(
            "TableThrottled",
            throttles,
            "DynamoDB has been throttling for a quarter of an hour.",
            threshold=THROTTLED_EVENTS,
            periods=THROTTLED_PERIODS,
        )
        self._add(
            "FunctionsThrottled",
            function_throttles,
            "Lambda is throttling: the account's concurrency is used up.",
            periods=THROTTLED_PERIODS,
        )

        for name, queue in triggers.dead_letters.items():
            metric = queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES)
            self._add(name, metric, "Messages that should have started a run are waiting in this queue.")

    def _add(
        self, name: str, metric: cloudwatch.IMetric, meaning: str, *, threshold: int = 1, periods: int = 1
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            # No data means no run, which is fine.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{meaning} See docs/operate.md, {name}.",
        )
        alarm.add_alarm_action(self._action)


def _blocked_rule(scope: Construct, compute: Compute, notifications: Notifications) -> events.Rule:
    """Batch has no metric of jobs that wait, but an event for a queue whose first job cannot start, with the reason.

    https://docs.aws.amazon.com/batch/latest/userguide/batch-job-queue-blocked-events.html
    """
    return events.Rule(
        scope,
        "BlockedQueue",
        description="The first job in the queue cannot start; the message says why",
        event_pattern=events.EventPattern(
            source=["aws.batch"],
            detail_type=["Batch Job Queue Blocked"],
            detail={"jobQueue": [compute.queue.job_queue_arn]},
        ),
        targets=[targets.SnsTopic(notifications.topic)],
    )
