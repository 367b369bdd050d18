"""Errors as AWS answers them: S3 in XML, DynamoDB and the REST services in JSON."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from tools.faults.messages import Message

_REQUEST_ID: Final = "INJECTED"


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
    """Of Batch and Lambda: the error's name is in a header."""
    body = json.dumps({"message": message, "Message": message}).encode()
    headers = {"x-amzn-RequestId": _REQUEST_ID, "x-amzn-ErrorType": error_type}
    return _answer(status, "application/json", body, headers)


def _answer(
    status: int, content_type: str, body: bytes, headers: dict[str, str], *, is_head: bool = False
) -> Message:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return Message("\r\n".join([*lines, "", ""]).encode(), b"" if is_head else body)
