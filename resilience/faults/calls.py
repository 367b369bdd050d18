"""What a request to AWS asks for: service, operation, caller, and the images that it is about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from stepvec.rows.item import PARTITION_KEY
from testkit.http_messages import Message

_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/aws4_request")
_S3_OBJECT: Final = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_S3_BUCKET: Final = {"GET": "ListObjectsV2"}
_INVOKE: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")

BATCH_WRITE: Final = "BatchWriteItem"
BATCH_GET: Final = "BatchGetItem"
PUT_ITEM: Final = "PutItem"
PUT_VECTORS: Final = "PutVectors"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `role` is the caller's, "" for the operator; `port` the caller's end of the connection.

    `key` is an S3 key, a function's name, or "". `images` are the ids of DynamoDB's rows, the keys of
    vectors, or the key of an image.
    """

    service: str
    operation: str
    role: str
    bucket: str
    key: str
    images: tuple[str, ...]
    port: int

    @property
    def subject(self) -> str:
        """What stays the same when the request is sent again: by it, and a count, a seed decides."""
        return f"{self.operation} {self.bucket} {self.key or (self.images[0] if self.images else '')}"

    @property
    def is_from_worker(self) -> bool:
        """Whether a Batch job made it."""
        return "JobRole" in self.role

    @property
    def is_from_function(self) -> bool:
        """Whether a Lambda function made it."""
        return any(name in self.role for name in ("ListImages", "ShardImages", "VerifyShard", "VerifyRun"))


def read_call(request: Message, port: int, role_of: Callable[[str], str]) -> Call:
    """The call that `request`, which came from `port`, makes. `role_of` tells whose an access key is."""
    method, path, query = request.method, request.path, request.query
    match = _CREDENTIAL.search(request.header("authorization"))
    access_key, service = match.groups() if match else ("", "")
    role = role_of(access_key) if access_key else ""
    bucket = key = ""
    images: tuple[str, ...] = ()
    operation = f"{method} {path}"
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        known = _S3_OBJECT if key else _S3_BUCKET
        operation = known.get(method, operation) if _is_plain(query) else operation
        images = (key,) if operation == "GetObject" else ()
    elif service == "dynamodb":
        operation = request.header("x-amz-target").rpartition(".")[2]
        images = tuple(row_ids(operation, json.loads(request.body)))
    elif service == "s3vectors":
        operation = path.lstrip("/")
        images = tuple(vector_keys(json.loads(request.body or b"{}")))
    elif service == "batch" and path == "/v1/submitjob":
        operation = "SubmitJob"
        key = _submitted_shard(request.body)
    elif service == "lambda" and (invoked := _INVOKE.fullmatch(path)):
        operation, key = "Invoke", invoked[1]
    return Call(service, operation, role, bucket, key, images, port)


def row_ids(operation: str, document: Any) -> list[str]:
    """The image ids that a DynamoDB request of one of our operations names; none for any other."""
    if operation == BATCH_WRITE:
        requests = [entry for entries in document["RequestItems"].values() for entry in entries]
        return [str(entry["PutRequest"]["Item"][PARTITION_KEY]["S"]) for entry in requests if "PutRequest" in entry]
    if operation == BATCH_GET:
        return [str(key[PARTITION_KEY]["S"]) for table in document["RequestItems"].values() for key in table["Keys"]]
    if operation == PUT_ITEM:
        return [str(document["Item"][PARTITION_KEY]["S"])]
    return []


def vector_keys(document: Any) -> list[str]:
    """The keys of the vectors that a request to S3 Vectors is about."""
    return [str(vector["key"]) for vector in document.get("vectors", ())] + list(document.get("keys", ()))


def _submitted_shard(body: bytes) -> str:
    return str(json.loads(body or b"{}").get("parameters", {}).get("shard", ""))


def _is_plain(query: str) -> bool:
    """Neither a part of an upload nor a sub-resource; obstore and boto3 name a plain GetObject x-id."""
    return not any(name in query for name in ("uploads", "uploadId", "partNumber", "acl", "tagging"))
