"""Vector buckets and indexes of S3 Vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localaws.handlers.registry import Deployed, Site, handles, removes


@handles(
    "AWS::S3Vectors::VectorBucket",
    applied={"VectorBucketName"},
    harmless={"EncryptionConfiguration"},
    fixed={"VectorBucketName", "EncryptionConfiguration"},
)
def vector_bucket(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates a vector bucket. Its physical id is its ARN, as on AWS."""
    name = properties.get("VectorBucketName") or site.name(logical_id, 63).lower()
    site.client("s3vectors").create_vector_bucket(vectorBucketName=name)
    arn = f"arn:aws:s3vectors:{site.context.region}:{site.context.account}:bucket/{name}"
    return Deployed(arn, {"VectorBucketArn": arn})


_APPLIED: Final = {
    "VectorBucketArn",
    "VectorBucketName",
    "IndexName",
    "DataType",
    "Dimension",
    "DistanceMetric",
    "MetadataConfiguration",
}
"""Of an index. Whatever it is made with, it keeps."""


@handles(
    "AWS::S3Vectors::Index",
    applied=_APPLIED,
    harmless={"EncryptionConfiguration"},
    fixed=_APPLIED | {"EncryptionConfiguration"},
)
def vector_index(site: Site, logical_id: str, properties: Mapping[str, Any]) -> Deployed:
    """Creates an index in a vector bucket. Its physical id is its ARN, as on AWS."""
    names = {"VectorBucketArn": "vectorBucketArn", "VectorBucketName": "vectorBucketName"}
    metadata = properties.get("MetadataConfiguration") or {}
    arn = site.client("s3vectors").create_index(
        **{member: properties[name] for name, member in names.items() if name in properties},
        indexName=properties.get("IndexName") or site.name(logical_id, 63).lower(),
        dataType=properties["DataType"],
        dimension=int(properties["Dimension"]),
        distanceMetric=properties["DistanceMetric"],
        metadataConfiguration={"nonFilterableMetadataKeys": metadata.get("NonFilterableMetadataKeys", [])},
    )["indexArn"]
    return Deployed(arn, {"IndexArn": arn})


@removes("AWS::S3Vectors::VectorBucket")
def remove_vector_bucket(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes a vector bucket without indexes; S3 Vectors refuses to delete another."""
    site.client("s3vectors").delete_vector_bucket(vectorBucketName=deployed.physical_id.rpartition("/")[2])


@removes("AWS::S3Vectors::Index")
def remove_vector_index(site: Site, deployed: Deployed, properties: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Deletes an index with its vectors."""
    site.client("s3vectors").delete_index(indexArn=deployed.physical_id)
