"""The deployment's own key, and what services and roles may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

READ: Final = ("kms:Decrypt", "kms:DescribeKey")
WRITE: Final = (
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What CDK's own grants allow, spelled out: no statement here has a wildcard action."""


def create_key(scope: Construct, construct_id: str) -> kms.Key:
    """A rotated key that, like the data it encrypts, outlives its stack.

    CloudWatch Logs and the services that publish to the topic use it directly, for this account only; S3 and DynamoDB
    use it on behalf of the calling role.
    """
    key = kms.Key(
        scope,
        construct_id,
        description="Stepvec: buckets, table, topic and logs",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    stack = cdk.Stack.of(scope)
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    log_groups = stack.format_arn(service="logs", resource="log-group", resource_name="*", arn_format=_COLON)
    _allow_service(
        key,
        f"logs.{stack.region}.amazonaws.com",
        (*READ, *WRITE),
        {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
    )
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    _allow_service(
        key,
        "cloudwatch.amazonaws.com",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        {"StringEquals": {"aws:SourceAccount": stack.account}},
    )
    # EventBridge is allowed by CDK, with the rule that has the topic as its target, and without a condition: with
    # aws:SourceAccount, says the same page, its messages would be dropped without a word.
    return key


def allow_use(role: iam.IRole, key: kms.IKey | None, *, write: bool = True) -> None:
    """Let `role` read, or read and write, what `key` encrypts. Does nothing without a customer managed key."""
    if key is not None:
        actions = [*READ, *WRITE] if write else list(READ)
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[key.key_arn]))


def allow_indexing(key: kms.Key) -> None:
    """Let S3 Vectors optimize its indexes in the background, for this account's buckets only.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-data-encryption.html
    """
    stack = cdk.Stack.of(key)
    buckets = stack.format_arn(service="s3vectors", resource="bucket", resource_name="*")
    _allow_service(
        key,
        "indexing.s3vectors.amazonaws.com",
        ("kms:Decrypt",),
        {
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": buckets},
            "ForAnyValue:StringEquals": {
                "kms:EncryptionContextKeys": ["aws:s3vectors:arn", "aws:s3vectors:resource-id"]
            },
        },
    )


_COLON: Final = cdk.ArnFormat.COLON_RESOURCE_NAME


def _allow_service(key: kms.Key, service: str, actions: tuple[str, ...], conditions: Mapping[str, Any]) -> None:
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service)],
            actions=list(actions),
            resources=["*"],  # of a key policy: this key
            conditions=conditions,
        )
    )
