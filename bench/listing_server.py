"""A lean S3 and DynamoDB for the listing benchmark, in a process of its own so that its CPU time counts apart.

`images-N` is a bucket of N synthetic images that can only be listed; every other bucket keeps what is put. Of the two
tables `rows-none` has no row and `rows-all` the row of every synthetic image. No signature is checked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from bench.synthetic_images import MODEL, etag_of, key_of, number_of, size_of

IMAGE_BUCKET: Final = "images-"
TABLE_WITH_ROWS: Final = "rows-all"
PAGE_KEYS: Final = 1_000

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


class Storage:
    """Answers requests: `files` holds what was put, by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """The answer to one request."""
        path, _, query = target.partition("?")
        if method == "POST":
            return _batch_get_item(json.loads(body))
        if path == "/cpu-seconds":
            return 200, "text/plain", str(time.process_time()).encode()
        if method == "PUT":
            self.files[path] = body
            return 200, "application/xml", b""
        if "list-type=2" in query:
            return _list_page(path.strip("/"), dict(urllib.parse.parse_qsl(query)))
        if path in self.files:
            return 200, "application/octet-stream", self.files[path]
        return 404, "application/xml", b"<Error><Code>NoSuchKey</Code><Message>no such file</Message></Error>"


def _list_page(bucket: str, query: dict[str, str]) -> Answer:
    images = int(bucket.removeprefix(IMAGE_BUCKET))
    after = query.get("continuation-token") or query.get("start-after")
    start = number_of(after) + 1 if after else 0
    end = min(start + PAGE_KEYS, images)
    contents = "".join(_contents(number) for number in range(start, end))
    is_truncated = end < images
    token = f"<NextContinuationToken>{key_of(end - 1)}</NextContinuationToken>" if is_truncated else ""
    return (
        200,
        "application/xml",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{query.get('prefix', '')}</Prefix>{token}<KeyCount>{end - start}</KeyCount>"
        f"<MaxKeys>{PAGE_KEYS}</MaxKeys><EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{contents}</ListBucketResult>".encode(),
    )


def _contents(number: int) -> str:
    # As S3 answers for an object that the SDK of today uploaded.
    return (
        f"<Contents><Key>{key_of(number)}</Key><LastModified>2026-11-01T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>{size_of(number)}</Size>"
        f"<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _batch_get_item(request: Any) -> Answer:
    ((table, keys),) = ((table, asked["Keys"]) for table, asked in request["RequestItems"].items())
    rows = [_row(key["ImageId"]["S"]) for key in keys] if table == TABLE_WITH_ROWS else []
    answer = {
        "Responses": {table: rows},
        "UnprocessedKeys": {},
        "ConsumedCapacity": [{"TableName": table, "CapacityUnits": len(keys) / 2}],
    }
    return 200, "application/x-amz-json-1.0", json.dumps(answer).encode()


def _row(key: str) -> dict[str, dict[str, str]]:
    row = {"ImageId": key, "Key": key, "ETag": etag_of(number_of(key)), "Model": MODEL, "Run": "an-earlier-run"}
    return {name: {"S": value} for name, value in row.items()}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with requests one after the other and bodies of known length: what botocore sends over http."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        self._answer = answer
        self._buffer = bytearray()
        self._continued = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server gives
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_request():
            """Requests that came together are answered in their order."""

    def _take_request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return False
        request, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length, start = int(headers.get("content-length", 0)), end + 4
        if "expect" in headers and not self._continued:
            self._continued = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < start + length:
            return False
        method, target, _ = request.split(" ")
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        self._continued = False
        status, content_type, content = self._answer(method, target, body)
        head = (
            f"HTTP/1.1 {status} .",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(content)}",
            'ETag: "any"',
        )
        self._transport.write("\r\n".join([*head, "", ""]).encode() + (b"" if method == "HEAD" else content))
        return True


async def serve() -> None:
    """Listen on a free port of 127.0.0.1, say which on standard output, and serve until ended."""
    storage = Storage()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(storage.answer), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
