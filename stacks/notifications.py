"""The topic of alarms and of each run's counts."""

from __future__ import annotations

from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.data_stack import DataStack


class Notifications(Construct):
    """A topic that takes TLS only, and the e-mail address of the configuration."""

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack, config: PipelineConfig) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", master_key=data.key, enforce_ssl=True)
        if config.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
