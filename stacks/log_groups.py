"""Log groups with the deployment's retention and key."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.config import PipelineConfig


def log_group(scope: Construct, construct_id: str, config: PipelineConfig, key: kms.IKey | None) -> logs.LogGroup:
    """A log group that goes with its stack."""
    group = logs.LogGroup(scope, construct_id, encryption_key=key, removal_policy=cdk.RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)  # noqa: S101 - what LogGroup is made of
    # The property takes any number that CloudWatch takes; the L2's enum would need a table of names.
    resource.retention_in_days = config.log_retention_days
    return group
