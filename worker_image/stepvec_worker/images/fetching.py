"""The bytes of an image, exactly those that were listed, or the reason why not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.aws_errors import (
    ACCESS_DENIED_CODES,
    BODY_ATTEMPTS,
    BROKEN_BODY,
    KMS_THROTTLING_CODES,
    MISSING_CODES,
    as_storage_error,
    error_code,
    is_object_refusal,
    refusal_message,
)
from stepvec.pacing import backoff_seconds
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.rejection import ImageRejected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_ETAG: Final = re.compile(r"[!#-~]{1,1024}")
"""What an ETag may consist of, between its quotes: https://www.rfc-editor.org/rfc/rfc9110#name-etag. S3's own have 32
to 38 characters; 1,024 leave room for other stores, within the 8 KB of headers that S3 takes."""


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """An object's bytes, and its Last-Modified in UTC."""

    data: bytes
    modified: datetime


class FastGet(Protocol):
    """What is needed of fast_get.FastReader."""

    def takes(self, key: str) -> bool:
        """As FastReader.takes."""
        ...

    def read(self, key: str, etag: str, *, max_bytes: int) -> FetchedImage | None:
        """As FastReader.read."""
        ...

    def note_refusal(self) -> None:
        """As FastReader.note_refusal."""
        ...


class ImageFetcher:
    """Reads images of one bucket, by `fast` whenever it can. Safe to use from several threads."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        max_bytes: int,
        fast: FastGet | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._fast = fast
        self._sleep = sleep

    def fetch(self, image: ShardImage) -> FetchedImage:
        """The object's bytes. Raises ImageRejected for what is wrong with this image, StorageError for S3 itself."""
        if not image.etag:
            self._reject_unlisted(image)
        if not _ETAG.fullmatch(image.etag):
            # In a header it would break the request, and has made the fast client panic.
            raise ImageRejected(
                FailureReason.CHANGED,
                f"The manifest gives the ETag {image.etag[:40]!r}, which no object can have: correct or drop it there.",
            )
        if image.size == 0:
            raise ImageRejected(FailureReason.EMPTY, "The object has no bytes.")
        if image.size > self._max_bytes:
            raise ImageRejected(
                FailureReason.TOO_LARGE, f"{image.size:,} bytes; max_image_bytes is {self._max_bytes:,}."
            )
        if self._fast is None or not self._fast.takes(image.key):
            return self._get_with_retries(image)
        fetched = self._fast.read(image.key, image.etag, max_bytes=self._max_bytes)
        if fetched is None:
            # Whatever the cause, boto3's answer counts.
            fetched = self._get_with_retries(image)
            self._fast.note_refusal()
        return fetched

    def _reject_unlisted(self, image: ShardImage) -> NoReturn:
        """Raises ImageRejected with S3's reason for an image that ListImages could not look up."""
        probe = replace(image, etag="")
        try:
            self._get_with_retries(probe)
        except ImageRejected as rejected:
            if rejected.reason is FailureReason.NOT_FOUND:
                message = "The manifest names it; the bucket does not have it."
                raise ImageRejected(FailureReason.NOT_FOUND, message) from rejected
            raise
        message = "It could not be looked up when the manifest was read, and is there now; the next run embeds it."
        raise ImageRejected(FailureReason.CHANGED, message)

    def _get_with_retries(self, image: ShardImage) -> FetchedImage:
        for attempt in range(BODY_ATTEMPTS):
            try:
                return self._get(image)
            except (*BROKEN_BODY, ClientError) as error:
                may_pass = isinstance(error, BROKEN_BODY) or error_code(error) in KMS_THROTTLING_CODES
                if not may_pass or attempt == BODY_ATTEMPTS - 1:
                    raise as_storage_error("S3", f"reading s3://{self._bucket}/{image.key}", error) from error
            self._sleep(backoff_seconds(attempt))
        raise AssertionError("unreachable")

    def _get(self, image: ShardImage) -> FetchedImage:
        # IfMatch: an object overwritten since it was listed must not get a row with the old ETag.
        options: dict[str, Any] = {"IfMatch": f'"{image.etag}"'} if image.etag else {"Range": "bytes=0-0"}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=image.key, **options)
            if answer.get("ContentLength", 0) > self._max_bytes:
                # Larger than listed: a manifest may claim any size.
                answer["Body"].close()
                raise ImageRejected(
                    FailureReason.TOO_LARGE,
                    f"{answer['ContentLength']:,} bytes; max_image_bytes is {self._max_bytes:,}.",
                )
            return FetchedImage(answer["Body"].read(), answer["LastModified"].astimezone(UTC))
        except BROKEN_BODY:
            raise
        except (ClientError, BotoCoreError) as error:
            if not is_object_refusal(error):
                if isinstance(error, ClientError):
                    raise
                raise as_storage_error("S3", f"reading s3://{self._bucket}/{image.key}", error) from error
            raise ImageRejected(*_refusal(error)) from error


def _refusal(error: Exception) -> tuple[FailureReason, str]:
    """The reason and the message of an image that S3 refused with `error`."""
    code = error_code(error)
    if code in MISSING_CODES:
        return FailureReason.NOT_FOUND, "The object is gone since it was listed."
    if code in {"PreconditionFailed", "412"}:
        return FailureReason.CHANGED, "The object was overwritten since it was listed; the next run embeds the new one."
    if code in {"InvalidRange", "416"}:
        return FailureReason.EMPTY, "The object has no bytes."
    if code in ACCESS_DENIED_CODES:
        return FailureReason.ACCESS_DENIED, str(error)
    if code == "InvalidObjectState":
        return FailureReason.ARCHIVED, refusal_message(error)
    return FailureReason.UNREADABLE, refusal_message(error)
