"""The bucket and the index of S3 Vectors, which get each vector beside its row."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3vectors as s3vectors
from constructs import Construct

from stacks.encryption import allow_indexing
from stepvec.rows.indexed import DATA_TYPE, DISTANCE, NON_FILTERABLE, index_name

KEEP: Final = cdk.RemovalPolicy.RETAIN
"""Like table and buckets: no change of a setting deletes what was stored."""


class VectorIndex(Construct):
    """A vector bucket with a name by CloudFormation, and in it the index for vectors of `dimension` numbers.

    An index's dimension, metric and metadata keys never change. Its name says the dimension, so that a model with
    another makes a new index beside the old one, which stays until somebody deletes it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, dimension: int, key: kms.Key | None) -> None:
        super().__init__(scope, construct_id)
        bucket = s3vectors.CfnVectorBucket(
            self,
            "Bucket",
            encryption_configuration=s3vectors.CfnVectorBucket.EncryptionConfigurationProperty(
                sse_type="aws:kms" if key else "AES256", kms_key_arn=key.key_arn if key else None
            ),
        )
        index = s3vectors.CfnIndex(
            self,
            f"Dimension{dimension}",
            vector_bucket_arn=bucket.attr_vector_bucket_arn,
            index_name=index_name(dimension),
            data_type=DATA_TYPE,
            dimension=dimension,
            distance_metric=DISTANCE,
            metadata_configuration=s3vectors.CfnIndex.MetadataConfigurationProperty(
                non_filterable_metadata_keys=list(NON_FILTERABLE)
            ),
        )
        bucket.apply_removal_policy(KEEP)
        index.apply_removal_policy(KEEP)
        if key is not None:
            allow_indexing(key)
        self.arn = index.attr_index_arn

    def allow(self, *actions: str) -> iam.PolicyStatement:
        """A statement that allows actions of S3 Vectors on the index alone."""
        return iam.PolicyStatement(actions=[f"s3vectors:{action}" for action in actions], resources=[self.arn])
