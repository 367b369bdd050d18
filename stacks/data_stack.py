"""What outlives every deployment of the pipeline: images and vectors."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stepvec.item import PARTITION_KEY

KEEP = cdk.RemovalPolicy.RETAIN


class DataStack(cdk.Stack):
    """The image bucket, the work bucket of the runs' files, and the table of vectors. Deleting the stack keeps them."""

    def __init__(self, scope: Construct, construct_id: str, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.image_bucket = self._bucket("Images")
        self.work_bucket = self._bucket(
            "Work",
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=cdk.Duration.days(3))],
        )
        self.table = dynamodb.TableV2(
            self,
            "Vectors",
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=dynamodb.AttributeType.STRING),
            billing=dynamodb.Billing.on_demand(),
            removal_policy=KEEP,
        )
        cdk.CfnOutput(self, "ImageBucketName", value=self.image_bucket.bucket_name)
        cdk.CfnOutput(self, "WorkBucketName", value=self.work_bucket.bucket_name)
        cdk.CfnOutput(self, "TableName", value=self.table.table_name)

    def _bucket(self, construct_id: str, **kwargs: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            removal_policy=KEEP,
            **kwargs,
        )
