"""S3 buckets, DynamoDB tables, SQS queues and SNS topics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.handlers.registry import Deployed, Site, handles

_TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}


@handles(
    "AWS::S3::Bucket",
    applied={"BucketName", "VersioningConfiguration", "PublicAccessBlockConfiguration", "NotificationConfiguration"},
    harmless={"BucketEncryption", "OwnershipControls", "LoggingConfiguration", "LifecycleConfiguration"},
)
def bucket(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a bucket."""
    name = properties.get("BucketName") or site.name(logical_id, 63).lower()
    s3, region = site.client("s3"), site.context.region
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **location)
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
    return Deployed(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        },
    )


@handles("AWS::S3::BucketPolicy", applied={"Bucket", "PolicyDocument"})
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
    },
    harmless={"SSESpecification", "WarmThroughput", "WriteOnDemandThroughputSettings"},
)
def global_table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a table in this region; a replica's point-in-time recovery is taken from the first one."""
    replica: Mapping[str, Any] = next(iter(properties.get("Replicas") or []), {})
    return _table(site, logical_id, {**replica, **properties})


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
    },
    harmless={"SSESpecification", "DeletionProtectionEnabled", "OnDemandThroughput"},
)
def table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a table."""
    return _table(site, logical_id, properties)


def _table(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    name = properties.get("TableName") or site.name(logical_id, 255)
    dynamodb = site.client("dynamodb")
    names = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    settings = {key: properties[key] for key in names if key in properties}
    created = dynamodb.create_table(TableName=name, **settings)["TableDescription"]
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
    return Deployed(name, {"Arn": created["TableArn"], "StreamArn": created.get("LatestStreamArn", "")})


@handles(
    "AWS::SQS::Queue",
    applied={"QueueName", "VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy"},
    harmless={"SqsManagedSseEnabled", "KmsMasterKeyId"},
)
def queue(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a queue."""
    name = properties.get("QueueName") or site.name(logical_id, 80)
    attributes = {
        key: json.dumps(properties[key]) if isinstance(properties[key], dict) else str(properties[key])
        for key in ("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy")
        if key in properties
    }
    url = site.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = f"arn:aws:sqs:{site.context.region}:{site.context.account}:{name}"
    return Deployed(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


@handles("AWS::SQS::QueuePolicy", applied={"Queues", "PolicyDocument"})
def queue_policy(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Gives each queue the policy. It is evaluated where EventBridge sends to the queue, and nowhere else."""
    for url in properties["Queues"]:
        site.client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
        )
    return Deployed(logical_id)


@handles("AWS::SNS::Topic", applied={"TopicName"}, harmless={"DisplayName", "KmsMasterKeyId"})
def topic(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a topic."""
    name = properties.get("TopicName") or site.name(logical_id, 255)
    arn = site.client("sns").create_topic(Name=name)["TopicArn"]
    return Deployed(arn, {"TopicArn": arn, "TopicName": name})


@handles("AWS::SNS::TopicPolicy", applied={"Topics", "PolicyDocument"})
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
