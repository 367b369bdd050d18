"""Automatic starts of runs: by schedule and by upload. Both exist only if the configuration asks for them."""

from __future__ import annotations

import json
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.config import prefixes_of
from stacks.startable import Startable
from stepvec.errors import ConfigurationError
from stepvec.limits import (
    EVENT_PATTERN_CHARACTERS,
    MIN_QUEUE_CONCURRENCY,
    QUEUE_BATCH_MESSAGES,
    QUEUE_RETENTION_DAYS,
    QUEUE_VISIBILITY_TIMEOUTS,
)
from stepvec.runs.layout import UPLOADS

START_TIMEOUT_SECONDS: Final = 60
"""StartOnUpload reads a batch, writes one file and makes one request: seconds, even for 10,000 messages."""
RECEIVES: Final = 5
"""Attempts at a message before it is dead-lettered; AWS advises at least 5, since throttling counts as one."""
SCHEDULE_RETRIES: Final = 10
SCHEDULE_EVENT_HOURS: Final = 1
"""How long a refused start is retried; the next tick does the same work anyway."""


class Triggers(Construct):
    """The schedule and the upload trigger, as far as the configuration has them."""

    def __init__(self, scope: Construct, construct_id: str, startable: Startable) -> None:
        super().__init__(scope, construct_id)
        config = startable.config
        self.dead_letters: dict[str, sqs.Queue] = {}
        if config.schedule:
            self._add_schedule(startable)
        if config.upload_trigger:
            queue = self._add_upload_queue(startable)
            self._add_start_on_upload(queue, startable)

    def _add_schedule(self, startable: Startable) -> None:
        machine, config = startable.workflow.state_machine, startable.config
        zone = cdk.TimeZone.of(config.schedule_timezone)
        # Only schedules of this account may make the service use the role.
        account = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
        service = iam.ServicePrincipal("scheduler.amazonaws.com", conditions=account)
        role = iam.Role(self, "ScheduleRole", assumed_by=service)
        dead_letters = self._queue("ScheduleDeadLetters", retention_days=QUEUE_RETENTION_DAYS)
        schedule = scheduler.Schedule(
            self,
            "Schedule",
            description="Embeds new and changed images",
            schedule=scheduler.ScheduleExpression.expression(config.schedule, zone),
            time_window=scheduler.TimeWindow.flexible(cdk.Duration.minutes(config.schedule_window_minutes))
            if config.schedule_window_minutes
            else scheduler.TimeWindow.off(),
            # CDK adds to the role what it needs: to start this machine, to send to these dead letters.
            target=scheduler_targets.StepFunctionsStartExecution(
                machine,
                input=scheduler.ScheduleTargetInput.from_object(
                    {"Paths": list(config.schedule_paths), "MaxFailures": config.schedule_max_failures}
                ),
                role=role,
                dead_letter_queue=dead_letters,
                retry_attempts=SCHEDULE_RETRIES,
                max_event_age=cdk.Duration.hours(SCHEDULE_EVENT_HOURS),
            ),
        )
        # A rate starts when the schedule is created: by then its role needs its permissions.
        schedule.node.add_dependency(role)
        cdk.CfnOutput(cdk.Stack.of(self), "ScheduleDeadLettersUrl", value=dead_letters.queue_url)

    def _add_upload_queue(self, startable: Startable) -> sqs.Queue:
        data, config = startable.data, startable.config
        _send_events(data.image_bucket)
        dead_letters = self._queue("UploadDeadLetters", retention_days=QUEUE_RETENTION_DAYS)
        queue = self._queue(
            "Uploads",
            # Less than the dead letters': a message keeps its age when it becomes one.
            retention_days=QUEUE_RETENTION_DAYS // 2,
            visibility_timeout=cdk.Duration.seconds(
                QUEUE_VISIBILITY_TIMEOUTS * START_TIMEOUT_SECONDS + config.upload_window_seconds
            ),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=RECEIVES),
        )
        rule = events.Rule(
            self,
            "ImageUploaded",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [data.image_bucket.bucket_name]},
                    "object": {"key": key_patterns(config.upload_prefixes)},
                },
            ),
        )
        rule.add_target(events_targets.SqsQueue(queue, dead_letter_queue=dead_letters))
        stack = cdk.Stack.of(self)
        cdk.CfnOutput(stack, "UploadQueueUrl", value=queue.queue_url)
        cdk.CfnOutput(stack, "UploadDeadLettersUrl", value=dead_letters.queue_url)
        return queue

    def _add_start_on_upload(self, queue: sqs.Queue, startable: Startable) -> None:
        machine, data, config = startable.workflow.state_machine, startable.data, startable.config
        work = data.work_bucket
        consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        function = startable.functions.create(
            "StartOnUpload",
            environment={
                "STEPVEC_IMAGE_BUCKET": data.image_bucket.bucket_name,
                "STEPVEC_WORK_BUCKET": work.bucket_name,
                "STEPVEC_STATE_MACHINE_ARN": machine.state_machine_arn,
                "STEPVEC_SUFFIXES": ",".join(config.suffix_rule.more),
                "STEPVEC_MAX_FAILURES": str(config.upload_max_failures),
            },
            statements=[
                iam.PolicyStatement(actions=consume, resources=[queue.queue_arn]),
                iam.PolicyStatement(actions=["s3:PutObject"], resources=[work.arn_for_objects(f"{UPLOADS}*")]),
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
            ],
            timeout=cdk.Duration.seconds(START_TIMEOUT_SECONDS),
        )
        lambda_.EventSourceMapping(
            self,
            "UploadsToStart",
            target=function,
            event_source_arn=queue.queue_arn,
            batch_size=QUEUE_BATCH_MESSAGES,
            max_batching_window=cdk.Duration.seconds(config.upload_window_seconds),
            # Each poller's batch becomes an execution: as few pollers as AWS allows.
            max_concurrency=MIN_QUEUE_CONCURRENCY,
            report_batch_item_failures=True,
        )

    def _queue(self, name: str, *, retention_days: int, **kwargs: Any) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(retention_days),
            **kwargs,
        )
        if name.endswith("DeadLetters"):
            self.dead_letters[name] = queue
        return queue


def key_patterns(prefixes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Patterns of an event's key: under one of the prefixes, or, without prefixes, any.

    Which of them are images StartOnUpload says, by the rule of listings: no pattern knows `photo.jpg?v=2` in any case
    (docs/decisions/0099). Raises ConfigurationError for more prefixes than a rule can hold.
    """
    named = [prefix for prefix in prefixes_of(prefixes) if prefix]
    # "/" is the whole bucket, and no other prefix lies beside it.
    patterns: list[dict[str, Any]] = [{"prefix": prefix} for prefix in named] or [{"exists": True}]
    # Half of the pattern's limit: the other half is for the bucket's name, and more than it needs.
    if len(json.dumps(patterns)) > EVENT_PATTERN_CHARACTERS // 2:
        raise ConfigurationError(
            f"upload_prefixes has {len(patterns)} prefixes, more than an EventBridge rule can hold.",
            remedy="Name prefixes higher up, or none.",
        )
    return patterns


def _send_events(bucket: s3.IBucket) -> None:
    # CDK's own switch for this deploys a function that sets it, with rights on every bucket's notifications.
    resource = bucket.node.default_child
    # A bucket of the user's own is not this template's to change: docs/configuration.md says what to switch on.
    if isinstance(resource, s3.CfnBucket):
        resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)
