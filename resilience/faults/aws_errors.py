"""Error responses as AWS words them: S3 in XML, DynamoDB and the REST services in JSON."""

from __future__ import annotations

import json
import zlib
from http import HTTPStatus
from typing import Final

from resilience.faults.proxy import Exchange
from testkit.http_messages import Message

_REQUEST_ID: Final = "INJECTED"
_DYNAMODB: Final = "com.amazonaws.dynamodb.v20120810#"


def s3_error(status: int, code: str, message: str, *, method: str = "GET") -> Message:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{_REQUEST_ID}</RequestId></Error>"
    ).encode()
    return _answer(status, "application/xml", body, {"x-amz-request-id": _REQUEST_ID}, is_head=method == "HEAD")


def dynamodb_error(status: int, error_type: str, message: str) -> Message:
    """`error_type` with its namespace, as DynamoDB writes it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    """
    body = json.dumps({"__type": error_type, "message": message}).encode()
    return _answer(status, "application/x-amz-json-1.0", body, {"x-amzn-RequestId": _REQUEST_ID})


def rest_json_error(status: int, error_type: str, message: str) -> Message:
    """Of Batch, Lambda and S3 Vectors: the error's name is in a header."""
    body = json.dumps({"message": message, "Message": message}).encode()
    headers = {"x-amzn-RequestId": _REQUEST_ID, "x-amzn-ErrorType": error_type}
    return _answer(status, "application/json", body, headers)


def throughput_exceeded(exchange: Exchange) -> Message:  # noqa: ARG001 - as every answer
    """400 of DynamoDB."""
    text = "The level of configured provisioned throughput for the table was exceeded."
    return dynamodb_error(400, f"{_DYNAMODB}ProvisionedThroughputExceededException", text)


def throttled(exchange: Exchange) -> Message:  # noqa: ARG001
    """400 of DynamoDB's front door."""
    text = "Throughput exceeds the current capacity of your table or index."
    return dynamodb_error(400, "com.amazon.coral.availability#ThrottlingException", text)


def dynamodb_failed(exchange: Exchange) -> Message:  # noqa: ARG001
    """500 of DynamoDB."""
    return dynamodb_error(500, f"{_DYNAMODB}InternalServerError", "Internal server error")


def dynamodb_denied(exchange: Exchange) -> Message:
    """400 of DynamoDB, as IAM words it."""
    text = f"User is not authorized to perform: dynamodb:{exchange.call.operation}"
    return dynamodb_error(400, "com.amazon.coral.service#AccessDeniedException", text)


def vectors_throttled(exchange: Exchange) -> Message:  # noqa: ARG001
    """429 of S3 Vectors."""
    return rest_json_error(429, "TooManyRequestsException", "Too many requests: please reduce your request rate.")


def vectors_failed(exchange: Exchange) -> Message:  # noqa: ARG001
    """500 of S3 Vectors."""
    return rest_json_error(500, "InternalServerException", "Internal server error")


def slow_down(exchange: Exchange) -> Message:
    """503 of S3."""
    return s3_error(503, "SlowDown", "Please reduce your request rate.", method=exchange.method)


def s3_failed(exchange: Exchange) -> Message:
    """500 of S3."""
    text = "We encountered an internal error. Please try again."
    return s3_error(500, "InternalError", text, method=exchange.method)


def s3_denied(exchange: Exchange) -> Message:
    """403 of S3."""
    return s3_error(403, "AccessDenied", "Access Denied", method=exchange.method)


_OBJECT_REFUSALS: Final = (
    ("InvalidRequest", "The object was stored using a form of Server Side Encryption."),
    ("KMS.KMSInvalidStateException", "arn:aws:kms:us-east-1:111122223333:key/1 is pending deletion."),
    ("KMS.DisabledException", "arn:aws:kms:us-east-1:111122223333:key/1 is disabled."),
    ("KMS.NotFoundException", "Key 'arn:aws:kms:us-east-1:111122223333:key/1' does not exist"),
)
"""boto/boto3#1482, localstack/localstack#8422."""


def object_refused(exchange: Exchange) -> Message:
    """400 of S3 for one object, whose encryption key is the customer's (SSE-C), disabled or gone."""
    code, text = _OBJECT_REFUSALS[zlib.crc32(exchange.call.key.encode()) % len(_OBJECT_REFUSALS)]
    return s3_error(400, code, text, method=exchange.method)


def clock_skewed(exchange: Exchange) -> Message:
    """403 of S3 to a host whose clock is more than 15 minutes off."""
    text = "The difference between the request time and the current time is too large."
    return s3_error(403, "RequestTimeTooSkewed", text, method=exchange.method)


def submit_throttled(exchange: Exchange) -> Message:  # noqa: ARG001
    """429 of Batch."""
    return rest_json_error(429, "TooManyRequestsException", "Too Many Requests")


def submit_failed(exchange: Exchange) -> Message:  # noqa: ARG001
    """500 of Batch."""
    return rest_json_error(500, "ServerException", "Internal failure")


def _answer(status: int, content_type: str, body: bytes, headers: dict[str, str], *, is_head: bool = False) -> Message:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return Message("\r\n".join([*lines, "", ""]).encode(), b"" if is_head else body)
