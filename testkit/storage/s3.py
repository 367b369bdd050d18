"""Buckets: GetObject with If-Match and Range, HeadObject, PutObject with conditions, DeleteObject, ListObjectsV2."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice, takewhile
from pathlib import Path
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from stepvec.limits import LIST_PAGE_KEYS
from testkit.http_messages import Message, response
from testkit.storage.synthetic import SyntheticBucket


class StoredObject:
    """An object, with its whole response made once: answering a GET is then one send."""

    __slots__ = ("_http_date", "body", "etag", "head", "modified", "storage_class", "whole")

    def __init__(self, body: bytes, modified: datetime, storage_class: str = "") -> None:
        self.body = body
        self.storage_class = storage_class or "STANDARD"
        self.etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self.modified = f"{modified:%Y-%m-%dT%H:%M:%S.000Z}"
        self._http_date = format_datetime(modified, usegmt=True)
        self.head = self._head("200 OK", len(body))
        self.whole = self.head + body

    def part(self, begin: int, end: int) -> bytes:
        """The response to a GET of bytes `begin` up to and without `end`."""
        content_range = b"Content-Range: bytes %d-%d/%d\r\n" % (begin, end - 1, len(self.body))
        return self._head("206 Partial Content", end - begin, content_range) + self.body[begin:end]

    def _head(self, status: str, length: int, more: bytes = b"") -> bytes:
        return (
            f'HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: "{self.etag}"\r\n'
            f"Last-Modified: {self._http_date}\r\nContent-Type: binary/octet-stream\r\nAccept-Ranges: bytes\r\n"
        ).encode() + (more + b"\r\n")


class Bucket:
    """The objects of a bucket, and their keys in the order of a listing."""

    def __init__(self, objects: dict[str, StoredObject] | None = None) -> None:
        self.objects = objects or {}
        self._keys: list[str] | None = None

    def put(self, key: str, stored: StoredObject) -> None:
        """Keep an object."""
        self.objects[key] = stored
        self._keys = None

    def delete(self, key: str) -> None:
        """Forget an object, if there is one."""
        if self.objects.pop(key, None):
            self._keys = None

    def page(self, prefix: str, after: str, most: int) -> Iterator[tuple[str, int, str, str, str]]:
        """Key, size, ETag, date and storage class of up to `most` objects under `prefix` and behind the key `after`."""
        if self._keys is None:
            self._keys = sorted(self.objects, key=str.encode)
        behind, under = (key.encode() for key in (after, prefix))
        begin = max(bisect_right(self._keys, behind, key=str.encode), bisect_left(self._keys, under, key=str.encode))
        for key in takewhile(lambda key: key.startswith(prefix), islice(self._keys, begin, begin + most)):
            stored = self.objects[key]
            yield key, len(stored.body), stored.etag, stored.modified, stored.storage_class


class Buckets:
    """All buckets; one exists as soon as something is put into it, and synthetic ones are always there."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def load(self, bucket: str, files: Iterable[Path], copies: int) -> None:
        """Put `files` into `bucket`, `copies` times under different names that share the bytes."""
        objects = [(path.name, StoredObject(path.read_bytes(), datetime.now(UTC))) for path in files]
        self._buckets[bucket] = Bucket(
            {f"photos/{copy:04d}/{name}": stored for copy in range(copies) for name, stored in objects}
        )

    def answer(self, request: Message) -> bytes:
        """The response to a request for a bucket or an object."""
        method = request.method
        name, _, key = request.path[1:].partition("/")
        if method == "PUT" and key:
            if (answer := self._refused_put(name, key, request)) is not None:
                return answer
            return self._put(
                name, key, StoredObject(request.content, datetime.now(UTC), request.header("x-amz-storage-class"))
            )
        if method == "GET" and not key:
            listed = SyntheticBucket.named(name) or self._buckets.get(name)
            return _error("404 Not Found", "NoSuchBucket") if listed is None else _listing(name, listed, request.query)
        bucket = self._buckets.get(name)
        if bucket is None:
            # An answer to HEAD has no body.
            return response("404 Not Found") if method == "HEAD" else _error("404 Not Found", "NoSuchBucket")
        if method == "DELETE" and key:
            bucket.delete(key)
            return response("204 No Content")
        if method not in ("GET", "HEAD") or not key:
            return _error("501 Not Implemented", "NotImplemented")
        stored = bucket.objects.get(key)
        if stored is None:
            return response("404 Not Found") if method == "HEAD" else _error("404 Not Found", "NoSuchKey")
        if request.header("if-match").strip('"') not in ("", stored.etag):
            refused = "412 Precondition Failed"
            return response(refused) if method == "HEAD" else _error(refused, "PreconditionFailed")
        if method == "HEAD":
            return stored.head
        byte_range = request.header("range")
        return stored.part(*_range(byte_range, len(stored.body))) if byte_range else stored.whole

    def _refused_put(self, bucket: str, key: str, request: Message) -> bytes | None:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
        there = self._buckets.get(bucket, Bucket()).objects.get(key)
        wanted = request.header("if-match").strip('"')
        if wanted and there is None:
            return _error("404 Not Found", "NoSuchKey")
        if (wanted and there and wanted != there.etag) or (request.header("if-none-match") == "*" and there):
            return _error("412 Precondition Failed", "PreconditionFailed")
        return None

    def _put(self, bucket: str, key: str, stored: StoredObject) -> bytes:
        self._buckets.setdefault(bucket, Bucket()).put(key, stored)
        return response("200 OK", headers=f'ETag: "{stored.etag}"\r\n'.encode())


def _listing(name: str, bucket: Bucket | SyntheticBucket, query: str) -> bytes:
    """A page of ListObjectsV2, as S3 answers for objects that the SDK of today uploaded."""
    wanted = {field: values[0] for field, values in parse_qs(query, keep_blank_values=True).items()}
    after = wanted.get("continuation-token", wanted.get("start-after", ""))
    most = int(wanted.get("max-keys", LIST_PAGE_KEYS))
    found = list(bucket.page(wanted.get("prefix", ""), after, most + 1))
    page, is_truncated = found[:most], len(found) > most
    encode = quote if wanted.get("encoding-type") == "url" else escape
    contents = "".join(
        f"<Contents><Key>{encode(key)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>{size}</Size><StorageClass>{storage_class}</StorageClass></Contents>"
        for key, size, etag, modified, storage_class in page
    )
    token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if is_truncated else ""
    encoding = "<EncodingType>url</EncodingType>" if encode is quote else ""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{name}</Name><Prefix>{escape(wanted.get('prefix', ''))}</Prefix>{token}<KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{most}</MaxKeys>{encoding}<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{contents}"
        "</ListBucketResult>"
    )
    return response("200 OK", body.encode(), b"Content-Type: application/xml\r\n")


def _range(header: str, size: int) -> tuple[int, int]:
    """Begin and end (exclusive) of `bytes=a-b` or `bytes=a-`."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    return int(first), min(int(last) + 1, size) if last else size


def _error(status: str, code: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{status}</Message></Error>'
    return response(status, body.encode(), b"Content-Type: application/xml\r\n")
