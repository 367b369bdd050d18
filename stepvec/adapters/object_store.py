"""Files in S3."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from stepvec import codec
from stepvec.adapters.aws_errors import (
    ACCESS_DENIED_CODES,
    BODY_ATTEMPTS,
    BROKEN_BODY,
    EXISTING_CODES,
    MISSING_CODES,
    as_storage_error,
    error_code,
    is_object_refusal,
    refusal_message,
)
from stepvec.adapters.list_objects import shorten_listing_answers
from stepvec.limits import LIST_PAGE_KEYS
from stepvec.pacing import backoff_seconds
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ARCHIVE_CLASSES, ListedImage, archived
from stepvec.runs.outcome import FailureReason, Refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Record = TypeVar("Record")

_SPOOLED_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing, in the order of the keys' UTF-8 bytes."""

    objects: tuple[ListedImage, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """What tells one version of an object from another."""

    etag: str
    modified: datetime


class ObjectStore:
    """Reads and writes whole files of a run, and lists images. Raises StorageError for what S3 refuses."""

    def __init__(self, client: S3Client, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        shorten_listing_answers(client)
        self._sleep = sleep

    def list_page(self, bucket: str, prefix: str, after: str) -> ObjectPage:
        """The objects under `prefix` whose keys come after `after` ("" from the start), up to 1,000 of them."""
        request: dict[str, Any] = {
            "Bucket": bucket,
            "Prefix": prefix,
            "MaxKeys": LIST_PAGE_KEYS,
            "OptionalObjectAttributes": ["RestoreStatus"],
        }
        if after:
            # StartAfter rather than a continuation token: it never expires, so an invocation can be repeated.
            request["StartAfter"] = after
        with _storage_errors(f"listing s3://{bucket}/{prefix}"):
            page = self._client.list_objects_v2(**request)
        return ObjectPage(tuple(map(_listed, page.get("Contents", []))), is_last=not page["IsTruncated"])

    def list_pages(self, bucket: str, prefix: str) -> Iterator[ObjectPage]:
        """All pages of the listing of `prefix`."""
        after, is_last = "", False
        while not is_last:
            page = self.list_page(bucket, prefix, after)
            yield page
            after, is_last = (page.objects[-1].key if page.objects else after), page.is_last

    def head(self, bucket: str, key: str) -> ListedImage | None:
        """Size and ETag of one object; None where it does not exist."""
        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in MISSING_CODES:
                return None
            raise as_storage_error("S3", f"looking at s3://{bucket}/{key}", error) from error
        return ListedImage(key, head["ContentLength"], head["ETag"].strip('"'))

    def look_up(self, bucket: str, key: str) -> ListedImage:
        """One object as a listing would show it. One that does not exist has no ETag; one that S3 refuses is refused.

        Raises StorageError for S3's trouble as a whole.
        """
        what = f"looking at s3://{bucket}/{key}"
        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            return ListedImage(key, 0, "") if error_code(error) in MISSING_CODES else self._asked_why(bucket, key)
        except BotoCoreError as error:
            raise as_storage_error("S3", what, error) from error
        restore = head.get("Restore", "")
        refused = archived(
            head.get("StorageClass", "STANDARD"),
            head.get("ArchiveStatus", ""),
            is_restored='ongoing-request="false"' in restore,
            is_restoring='ongoing-request="true"' in restore,
        )
        return ListedImage(key, head["ContentLength"], head["ETag"].strip('"'), refused)

    def _asked_why(self, bucket: str, key: str) -> ListedImage:
        # An answer to HEAD has no body to say why: an object encrypted by SSE-C and an expired token are both a bare
        # 400 (boto/boto3#1482 saw 500 for the former). GET tells.
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
            answer["Body"].close()
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in MISSING_CODES:
                return ListedImage(key, 0, "")
            if not is_object_refusal(error):
                raise as_storage_error("S3", f"looking at s3://{bucket}/{key}", error) from error
            is_denied = error_code(error) in ACCESS_DENIED_CODES
            reason = FailureReason.ACCESS_DENIED if is_denied else FailureReason.UNREADABLE
            return ListedImage(key, 0, "", Refusal(reason, refusal_message(error)))
        return ListedImage(key, int(answer["ContentRange"].rpartition("/")[2]), answer["ETag"].strip('"'))

    def version(self, bucket: str, key: str) -> ObjectVersion | None:
        """The version of an object that is there now, or None."""
        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in MISSING_CODES:
                return None
            raise as_storage_error("S3", f"looking at s3://{bucket}/{key}", error) from error
        return ObjectVersion(head["ETag"].strip('"'), head["LastModified"])

    @contextmanager
    def open(self, uri: S3Uri) -> Iterator[IO[bytes]]:
        """The file at `uri`, to be read once; it is on disk or in memory by then, whatever becomes of the network."""
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as spool:
            with _storage_errors(f"reading {uri}"):
                self._read_whole(uri, spool)
            spool.seek(0)
            yield spool

    def _read_whole(self, uri: S3Uri, spool: IO[bytes]) -> None:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                body = self._client.get_object(Bucket=uri.bucket, Key=uri.key)["Body"]
                shutil.copyfileobj(body, spool)
            except BROKEN_BODY:
                if attempt == BODY_ATTEMPTS:
                    raise
                spool.seek(0)
                spool.truncate()
                self._sleep(backoff_seconds(attempt - 1))
            else:
                return

    @contextmanager
    def open_text(self, uri: S3Uri) -> Iterator[IO[bytes]]:
        """The file at `uri`, unzipped where its key ends in .gz."""
        with self.open(uri) as stream:
            yield gzip.GzipFile(fileobj=stream, mode="rb") if uri.key.endswith(".gz") else stream  # type: ignore[misc]

    def exists(self, uri: S3Uri) -> bool:
        """Whether there is a file at `uri`."""
        return self.head(uri.bucket, uri.key) is not None

    def write(self, uri: S3Uri, body: bytes, *, content_type: str = "application/json") -> None:
        """Write the whole file at `uri`."""
        with _storage_errors(f"writing {uri}"):
            self._client.put_object(Bucket=uri.bucket, Key=uri.key, Body=body, ContentType=content_type)

    def write_if_absent(self, uri: S3Uri, body: bytes, *, content_type: str = "application/json") -> bool:
        """Write the whole file at `uri`, unless there is one: then False.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        try:
            self._client.put_object(
                Bucket=uri.bucket, Key=uri.key, Body=body, ContentType=content_type, IfNoneMatch="*"
            )
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in EXISTING_CODES:
                return False
            raise as_storage_error("S3", f"writing {uri}", error) from error
        return True

    def write_if_same(self, uri: S3Uri, body: bytes, etag: str | None) -> str | None:
        """Write the file at `uri` over the one with this ETag, or where there is none if it is None; the new ETag.

        None where another file is there by now, or none any more.
        """
        condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            answer = self._client.put_object(
                Bucket=uri.bucket, Key=uri.key, Body=body, ContentType="application/json", **condition
            )
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in EXISTING_CODES | MISSING_CODES:
                return None
            raise as_storage_error("S3", f"writing {uri}", error) from error
        return answer["ETag"].strip('"')

    def read_with_etag(self, uri: S3Uri) -> tuple[bytes, str] | None:
        """A small file and its ETag, both of one version; None where there is none."""
        try:
            answer = self._client.get_object(Bucket=uri.bucket, Key=uri.key)
            return answer["Body"].read(), answer["ETag"].strip('"')
        except (ClientError, BotoCoreError, *BROKEN_BODY) as error:
            if error_code(error) in MISSING_CODES:
                return None
            raise as_storage_error("S3", f"reading {uri}", error) from error

    def delete(self, uri: S3Uri) -> None:
        """Remove the file at `uri`, if there is one."""
        with _storage_errors(f"deleting {uri}"):
            self._client.delete_object(Bucket=uri.bucket, Key=uri.key)

    def upload(self, uri: S3Uri, stream: IO[bytes]) -> None:
        """Write the file at `uri` from a stream, in parts where it is large."""
        with _storage_errors(f"writing {uri}"):
            self._client.upload_fileobj(stream, uri.bucket, uri.key)

    def read_record(self, cls: type[Record], uri: S3Uri) -> Record:
        """The record of class `cls` in the file at `uri`. Raises RecordError where it holds something else."""
        with self.open(uri) as stream:
            return codec.from_json(cls, stream.read(), where=str(uri))

    def find_record(self, cls: type[Record], uri: S3Uri) -> Record | None:
        """As read_record; None where there is no such file."""
        return self.read_record(cls, uri) if self.exists(uri) else None

    def write_record(self, uri: S3Uri, record: Any) -> None:
        """Write a record as JSON."""
        self.write(uri, codec.to_json(record).encode())


def _listed(entry: Mapping[str, Any]) -> ListedImage:
    refused, storage_class = None, entry.get("StorageClass", "")
    if storage_class in ARCHIVE_CLASSES or "RestoreStatus" in entry:
        restoring = entry.get("RestoreStatus", {}).get("IsRestoreInProgress")
        refused = archived(storage_class, is_restored=restoring is False, is_restoring=restoring is True)
    return ListedImage(entry["Key"], entry["Size"], entry["ETag"].strip('"'), refused)


@contextmanager
def _storage_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, ConnectionError, TimeoutError) as error:
        raise as_storage_error("S3", what, error) from error
