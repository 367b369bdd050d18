"""S3 buckets, DynamoDB tables, SQS queues and SNS topics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.errors import TemplateError
from localaws.handlers.registry import Change, Deployed, Site, handles, removes, updates

_TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}


@handles(
    "AWS::S3::Bucket",
    applied={"BucketName", "VersioningConfiguration", "PublicAccessBlockConfiguration", "NotificationConfiguration"},
    harmless={"BucketEncryption", "OwnershipControls", "LoggingConfiguration", "LifecycleConfiguration"},
    fixed={"BucketName"},
)
def bucket(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a bucket."""
    name = properties.get("BucketName") or site.name(logical_id, 63).lower()
    s3, region = site.client("s3"), site.context.region
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **location)
    _configure_bucket(site, logical_id, name, properties)
    return Deployed(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        },
    )


@updates("AWS::S3::Bucket")
def update_bucket(site: Site, logical_id: str, change: Change) -> Deployed:
    """Changes the settings; what is stored stays."""
    if change.touches("NotificationConfiguration"):
        site.client("s3").put_bucket_notification_configuration(Bucket=change.name, NotificationConfiguration={})
    _configure_bucket(site, logical_id, change.name, change.after)
    return change.deployed


@removes("AWS::S3::Bucket")
def remove_bucket(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes an empty bucket; S3 refuses to delete another."""
    site.client("s3").delete_bucket(Bucket=deployed.physical_id)


def _configure_bucket(site: Site, logical_id: str, name: str, properties: Mapping[str, Any]) -> None:
    s3 = site.client("s3")
    if "PublicAccessBlockConfiguration" in properties:
        s3.put_public_access_block(
            Bucket=name, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
        )
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    notifications = dict(properties.get("NotificationConfiguration") or {})
    if notifications.pop("EventBridgeConfiguration", {"EventBridgeEnabled": False})["EventBridgeEnabled"]:
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    for kind in notifications:
        site.leave_out(logical_id, "AWS::S3::Bucket", f"NotificationConfiguration's {kind}: only EventBridge is told")


@handles("AWS::S3::BucketPolicy", applied={"Bucket", "PolicyDocument"}, fixed={"Bucket"}, is_idempotent=True)
def bucket_policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Stores a bucket policy, without the statements that refuse plain HTTP. None of it is evaluated."""
    document = properties["PolicyDocument"]
    statements = [one for one in document["Statement"] if one.get("Condition") != _TLS_ONLY]
    if len(statements) < len(document["Statement"]):
        site.leave_out(logical_id, "AWS::S3::BucketPolicy", "its TLS-only statement: loopback is plain HTTP")
    if statements:
        site.leave_out(logical_id, "AWS::S3::BucketPolicy", "bucket policies are stored, not evaluated")
        policy = json.dumps({**document, "Statement": statements})
        site.client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
    return Deployed(logical_id)


@handles(
    "AWS::DynamoDB::GlobalTable",
    applied={
        "TableName",
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "Replicas",
        "TimeToLiveSpecification",
        "WarmThroughput",
    },
    harmless={"SSESpecification", "WriteOnDemandThroughputSettings"},
    fixed={"TableName", "KeySchema"},
)
def global_table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a table in this region; a replica's own settings are taken from the first one."""
    return _table(site, logical_id, _with_replica(properties))


def _with_replica(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {**next(iter(properties.get("Replicas") or []), {}), **properties}


@handles(
    "AWS::DynamoDB::Table",
    applied={
        "TableName",
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "PointInTimeRecoverySpecification",
        "TimeToLiveSpecification",
        "DeletionProtectionEnabled",
        "WarmThroughput",
    },
    harmless={"SSESpecification", "OnDemandThroughput"},
    fixed={"TableName", "KeySchema"},
)
def table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a table."""
    return _table(site, logical_id, properties)


def _table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    name = properties.get("TableName") or site.name(logical_id, 255)
    dynamodb = site.client("dynamodb")
    names = (
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "DeletionProtectionEnabled",
        "WarmThroughput",
    )
    settings = {key: properties[key] for key in names if key in properties}
    created = dynamodb.create_table(TableName=name, **settings)["TableDescription"]
    _configure_table(site, name, properties)
    return Deployed(name, {"Arn": created["TableArn"], "StreamArn": created.get("LatestStreamArn", "")})


@updates("AWS::DynamoDB::GlobalTable")
@updates("AWS::DynamoDB::Table")
def update_table(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes the protections and the warm throughput, which DynamoDB never lowers; rows stay."""
    after = _with_replica(change.after)
    if "WarmThroughput" in after and change.touches("WarmThroughput"):
        _warm_table(site, change.name, after["WarmThroughput"])
    is_protected = bool(after.get("DeletionProtectionEnabled"))
    site.client("dynamodb").update_table(TableName=change.name, DeletionProtectionEnabled=is_protected)
    _configure_table(site, change.name, after)
    return change.deployed


@removes("AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table")
def remove_table(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a table; DynamoDB refuses to delete a protected one."""
    site.client("dynamodb").delete_table(TableName=deployed.physical_id)


def _warm_table(site: Site, name: str, wanted: Mapping[str, int]) -> None:
    dynamodb = site.client("dynamodb")
    has = dynamodb.describe_table(TableName=name)["Table"]["WarmThroughput"]
    for units, value in wanted.items():
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html
        if value < has[units]:
            raise TemplateError(
                f"WarmThroughput of the table {name} is {has[units]:,} {units}, and cannot be decreased to {value:,}.",
                remedy="Give at least what the table has.",
            )
    kept = {units: value for units, value in has.items() if units != "Status"}
    dynamodb.update_table(TableName=name, WarmThroughput={**kept, **wanted})


def _configure_table(site: Site, name: str, properties: Mapping[str, Any]) -> None:
    dynamodb = site.client("dynamodb")
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    if recovery.get("PointInTimeRecoveryEnabled"):
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    expiry = properties.get("TimeToLiveSpecification") or {}
    if expiry.get("Enabled"):
        dynamodb.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": expiry["AttributeName"]},
        )


@handles(
    "AWS::SQS::Queue",
    applied={"QueueName", "VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy"},
    harmless={"SqsManagedSseEnabled", "KmsMasterKeyId"},
    fixed={"QueueName"},
)
def queue(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a queue."""
    name = properties.get("QueueName") or site.name(logical_id, 80)
    url = site.client("sqs").create_queue(QueueName=name, Attributes=_queue_attributes(properties))["QueueUrl"]
    arn = f"arn:aws:sqs:{site.context.region}:{site.context.account}:{name}"
    return Deployed(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


@updates("AWS::SQS::Queue")
def update_queue(site: Site, logical_id: str, change: Change) -> Deployed:  # noqa: ARG001
    """Changes the attributes; messages stay."""
    site.client("sqs").set_queue_attributes(QueueUrl=change.name, Attributes=_queue_attributes(change.after))
    return change.deployed


@removes("AWS::SQS::Queue")
def remove_queue(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a queue and its messages."""
    site.client("sqs").delete_queue(QueueUrl=deployed.physical_id)


def _queue_attributes(properties: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: json.dumps(properties[key]) if isinstance(properties[key], dict) else str(properties[key])
        for key in ("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy")
        if key in properties
    }


@handles("AWS::SQS::QueuePolicy", applied={"Queues", "PolicyDocument"}, is_idempotent=True)
def queue_policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Gives each queue the policy. It is evaluated where EventBridge sends to the queue, and nowhere else."""
    for url in properties["Queues"]:
        site.client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
        )
    return Deployed(logical_id)


@handles("AWS::SNS::Topic", applied={"TopicName"}, harmless={"DisplayName", "KmsMasterKeyId"}, fixed={"TopicName"})
def topic(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a topic."""
    name = properties.get("TopicName") or site.name(logical_id, 255)
    arn = site.client("sns").create_topic(Name=name)["TopicArn"]
    return Deployed(arn, {"TopicArn": arn, "TopicName": name})


@removes("AWS::SNS::Topic")
def remove_topic(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a topic."""
    site.client("sns").delete_topic(TopicArn=deployed.physical_id)


@handles("AWS::SNS::TopicPolicy", applied={"Topics", "PolicyDocument"}, is_idempotent=True)
def topic_policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Gives each topic the policy. It is evaluated where alarms and EventBridge publish, and nowhere else."""
    for arn in properties["Topics"]:
        site.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(properties["PolicyDocument"])
        )
    return Deployed(logical_id)


@handles("AWS::SNS::Subscription", applied=set(), harmless={"TopicArn", "Protocol", "Endpoint"})
def subscription(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:  # noqa: ARG001
    """Leaves the subscription out: nothing is delivered."""
    site.leave_out(logical_id, "AWS::SNS::Subscription", "no message leaves this machine")
    return Deployed(logical_id)
