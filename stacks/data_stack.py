"""What outlives every deployment of the pipeline: images and vectors."""

from __future__ import annotations

from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.config import PipelineConfig
from stacks.encryption import create_key
from stacks.vector_index import VectorIndex
from stepvec.rows.item import PARTITION_KEY
from stepvec.runs.layout import KNOWN_FAILURES

KEEP: Final = cdk.RemovalPolicy.RETAIN
OLD_VERSIONS_DAYS: Final = 30
"""How long an image that was overwritten or deleted can be restored."""
ABORT_UPLOADS_DAYS: Final = 3
KNOWN_FAILURES_DAYS: Final = 400
"""Each run over the same paths writes what is known of them again; a yearly one still finds it."""


class DataStack(cdk.Stack):
    """The image bucket, the work bucket of the runs' files, and the table of vectors. Deleting the stack keeps them.

    With `vector_index`, an index of S3 Vectors as well, for vectors of `dimension` numbers. Image bucket and table may
    be existing ones, by name: then they are neither created nor configured here.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: PipelineConfig, dimension: int, **kwargs: Any
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=config.deletion_protection, **kwargs)
        self.key = create_key(self, "Key") if config.kms else None
        self.image_bucket: s3.IBucket = (
            s3.Bucket.from_bucket_name(self, "Images", config.image_bucket)
            if config.image_bucket
            else self._image_bucket()
        )
        # Not versioned: its contents can be recreated, and its files are written once, or rewritten identically.
        self.work_bucket = self._bucket(
            "Work",
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=cdk.Duration.days(ABORT_UPLOADS_DAYS)),
                s3.LifecycleRule(prefix=KNOWN_FAILURES, expiration=cdk.Duration.days(KNOWN_FAILURES_DAYS)),
            ],
        )
        self.table: dynamodb.ITableV2 = (
            dynamodb.TableV2.from_table_name(self, "Vectors", config.table) if config.table else self._table(config)
        )
        self.vector_index = (
            VectorIndex(self, "Index", dimension=dimension, key=self.key) if config.vector_index else None
        )
        cdk.CfnOutput(self, "ImageBucketName", value=self.image_bucket.bucket_name)
        cdk.CfnOutput(self, "WorkBucketName", value=self.work_bucket.bucket_name)
        cdk.CfnOutput(self, "TableName", value=self.table.table_name)
        if self.vector_index is not None:
            cdk.CfnOutput(self, "VectorIndexArn", value=self.vector_index.arn)

    def _image_bucket(self) -> s3.Bucket:
        # Versioned: images are the only data that cannot be recreated (docs/decisions/0010).
        return self._bucket(
            "Images",
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=cdk.Duration.days(OLD_VERSIONS_DAYS),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=cdk.Duration.days(ABORT_UPLOADS_DAYS)),
            ],
        )

    def _table(self, config: PipelineConfig) -> dynamodb.TableV2:
        write_units, read_units = config.warm_units
        table = dynamodb.TableV2(
            self,
            "Vectors",
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=dynamodb.AttributeType.STRING),
            billing=dynamodb.Billing.on_demand(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            warm_throughput=dynamodb.WarmThroughput(
                write_units_per_second=write_units, read_units_per_second=read_units
            )
            if config.warm_throughput
            else None,
            deletion_protection=config.deletion_protection,
            removal_policy=KEEP,
        )
        if self.key:
            resource = table.node.default_child
            assert isinstance(resource, dynamodb.CfnGlobalTable)  # noqa: S101 - what TableV2 is made of
            # TableEncryptionV2 needs the region at synthesis; this app is region-agnostic.
            resource.add_property_override("SSESpecification", {"SSEEnabled": True, "SSEType": "KMS"})
            resource.add_property_override("Replicas.0.SSESpecification.KMSMasterKeyId", self.key.key_arn)
        return table

    def _bucket(self, construct_id: str, **kwargs: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.KMS if self.key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self.key,
            # One data key for many objects: a KMS request for each of millions of images would be expensive.
            bucket_key_enabled=True if self.key else None,
            enforce_ssl=True,
            removal_policy=KEEP,
            **kwargs,
        )
