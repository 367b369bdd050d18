"""Buckets: GetObject with If-Match and Range, HeadObject, PutObject, ListObjectsV2."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from stepvec.limits import LIST_PAGE_KEYS
from testkit.storage.http import Request, response


class StoredObject:
    """An object, with its whole response made once: answering a GET is then one send."""

    __slots__ = ("body", "etag", "head", "modified", "whole")

    def __init__(self, body: bytes, modified: datetime) -> None:
        self.body = body
        self.etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.modified = modified
        self.head = self._head("200 OK", len(body))
        self.whole = self.head + body

    def part(self, begin: int, end: int) -> bytes:
        """The response to a GET of bytes `begin` up to and without `end`."""
        content_range = b"Content-Range: bytes %d-%d/%d\r\n" % (begin, end - 1, len(self.body))
        return self._head("206 Partial Content", end - begin, content_range) + self.body[begin:end]

    def _head(self, status: str, length: int, more: bytes = b"") -> bytes:
        modified = format_datetime(self.modified, usegmt=True)
        return (
            f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: {self.etag}\r\nLast-Modified: {modified}\r\n"
            "Content-Type: binary/octet-stream\r\nAccept-Ranges: bytes\r\n"
        ).encode() + (more + b"\r\n")


class Buckets:
    """All buckets; one exists as soon as something is put into it."""

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, StoredObject]] = {}
        self._sorted: dict[str, list[str]] = {}

    def load(self, bucket: str, files: Iterable[Path], copies: int) -> None:
        """Put `files` into `bucket`, `copies` times under different names that share the bytes."""
        objects = [(path.name, StoredObject(path.read_bytes(), datetime.now(UTC))) for path in files]
        self._buckets[bucket] = {
            f"photos/{copy:04d}/{name}": stored for copy in range(copies) for name, stored in objects
        }

    def answer(self, request: Request) -> bytes:
        """The response to a request for a bucket or an object."""
        bucket, _, key = request.path[1:].partition("/")
        if request.method == "PUT" and key:
            return self._put(bucket, key, request.body)
        objects = self._buckets.get(bucket)
        if objects is None:
            return _error("404 Not Found", "NoSuchBucket")
        if request.method == "GET" and not key:
            return self._list(bucket, objects, request.query)
        if request.method not in ("GET", "HEAD") or not key:
            return _error("501 Not Implemented", "NotImplemented")
        stored = objects.get(key)
        if stored is None:
            return response("404 Not Found") if request.method == "HEAD" else _error("404 Not Found", "NoSuchKey")
        if request.headers.get(b"if-match", stored.etag.encode()) != stored.etag.encode():
            return _error("412 Precondition Failed", "PreconditionFailed")
        if request.method == "HEAD":
            return stored.head
        byte_range = request.headers.get(b"range")
        return stored.whole if byte_range is None else stored.part(*_range(byte_range, len(stored.body)))

    def _put(self, bucket: str, key: str, body: bytes) -> bytes:
        stored = StoredObject(body, datetime.now(UTC))
        self._buckets.setdefault(bucket, {})[key] = stored
        self._sorted.pop(bucket, None)
        return response("200 OK", headers=f"ETag: {stored.etag}\r\n".encode())

    def _list(self, bucket: str, objects: dict[str, StoredObject], query: str) -> bytes:
        wanted = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        keys = self._sorted.get(bucket)
        if keys is None:
            keys = self._sorted[bucket] = sorted(objects, key=str.encode)
        prefix, after = wanted.get("prefix", ""), wanted.get("continuation-token", wanted.get("start-after", ""))
        begin = bisect_right(keys, after.encode(), key=str.encode)
        most = int(wanted.get("max-keys", LIST_PAGE_KEYS))
        found = list(islice((key for key in keys[begin:] if key.startswith(prefix)), most + 1))
        page, is_truncated = found[:most], len(found) > most
        encode = quote if wanted.get("encoding-type") == "url" else escape
        contents = "".join(
            f"<Contents><Key>{encode(key)}</Key><LastModified>{objects[key].modified:%Y-%m-%dT%H:%M:%S.000Z}"
            f"</LastModified><ETag>{escape(objects[key].etag)}</ETag><Size>{len(objects[key].body)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_truncated else ""
        encoding = "<EncodingType>url</EncodingType>" if encode is quote else ""
        return response(
            "200 OK",
            (
                f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{bucket}</Name>{encoding}'
                f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
            ).encode(),
            b"Content-Type: application/xml\r\n",
        )


def _range(header: bytes, size: int) -> tuple[int, int]:
    """Begin and end (exclusive) of `bytes=a-b` or `bytes=a-`."""
    first, _, last = header.removeprefix(b"bytes=").partition(b"-")
    return int(first), min(int(last) + 1, size) if last else size


def _error(status: str, code: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{status}</Message></Error>'
    return response(status, body.encode(), b"Content-Type: application/xml\r\n")
