"""Which permissions an S3 operation needs: its names are those of the API for only a few.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from localaws.iam.policy import Requirement
from localaws.iam.requests import Operation

_DELETED_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)

_OBJECT_ACTIONS: Final = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "GetObjectTagging": "GetObjectTagging",
    "GetObjectAcl": "GetObjectAcl",
    "PutObject": "PutObject",
    "PutObjectTagging": "PutObjectTagging",
    "PutObjectAcl": "PutObjectAcl",
    "DeleteObject": "DeleteObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
    "RestoreObject": "RestoreObject",
    "SelectObjectContent": "GetObject",
}

_BUCKET_ACTIONS: Final = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketLocation": "GetBucketLocation",
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
}

_CONTEXT_OF_QUERY: Final = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


def s3_requirements(operation: Operation) -> Iterator[Requirement]:
    """Every permission that an S3 `operation` needs."""
    bucket = operation.parameters.get("Bucket", "")
    key = operation.parameters.get("Key", "")
    bucket_arn = f"arn:aws:s3:::{bucket}"
    if operation.name == "ListBuckets":
        yield Requirement("s3:ListAllMyBuckets", "*", {})
    elif operation.name == "DeleteObjects":
        for deleted in operation.parameters.get("DeletedKeys", []):
            yield Requirement("s3:DeleteObject", f"{bucket_arn}/{deleted}", {})
    elif operation.name in ("CopyObject", "UploadPartCopy"):
        source = unquote(operation.headers.get("x-amz-copy-source", "")).lstrip("/").split("?", 1)[0]
        yield Requirement("s3:GetObject", f"arn:aws:s3:::{source}", {})
        yield Requirement("s3:PutObject", f"{bucket_arn}/{key}", {})
    elif operation.name in _OBJECT_ACTIONS:
        action = _OBJECT_ACTIONS[operation.name]
        if operation.parameters.get("versionId") and action in ("GetObject", "DeleteObject"):
            action += "Version"
        yield Requirement(f"s3:{action}", f"{bucket_arn}/{key}", {})
    else:
        action = _BUCKET_ACTIONS.get(operation.name, operation.name)
        context = {
            name: operation.parameters[parameter]
            for parameter, name in _CONTEXT_OF_QUERY.items()
            if parameter in operation.parameters
        }
        yield Requirement(f"s3:{action}", bucket_arn if bucket else "*", context)


def missing_object_requirement(operation: Operation) -> Requirement | None:
    """What a caller needs to learn that an object is not there; None where nothing more is needed.

    Without s3:ListBucket S3 answers 403 instead of 404.
    """
    if operation.service != "s3" or operation.name not in ("GetObject", "HeadObject"):
        return None
    return Requirement("s3:ListBucket", f"arn:aws:s3:::{operation.parameters.get('Bucket', '')}", {})


def deleted_keys(body: bytes) -> list[str]:
    """The keys named in the body of a DeleteObjects request."""
    # Not parsed as XML: only the element's text is needed, and a body is not a trusted document.
    names = _DELETED_KEY.findall(body.decode("utf-8", errors="replace"))
    return [_unescape(name) for name in names]


def _unescape(text: str) -> str:
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#13;", "\r"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text
