"""The bytes of an image, exactly those that were listed, or the reason why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.aws_errors import (
    ACCESS_DENIED_CODES,
    BODY_ATTEMPTS,
    BROKEN_BODY,
    MISSING_CODES,
    as_storage_error,
    error_code,
)
from stepvec.pacing import backoff_seconds
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason
from stepvec_worker.images.decoding import ImageRejected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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
            raise ImageRejected(FailureReason.NOT_FOUND, "The manifest names it; the bucket does not have it.")
        if image.size == 0:
            raise ImageRejected(FailureReason.EMPTY, "The object has no bytes.")
        if image.size > self._max_bytes:
            raise ImageRejected(FailureReason.TOO_LARGE, f"{image.size:,} bytes; the worker takes {self._max_bytes:,}.")
        if self._fast is None or not self._fast.takes(image.key):
            return self._get_with_retries(image)
        fetched = self._fast.read(image.key, image.etag, max_bytes=self._max_bytes)
        if fetched is None:
            # Whatever the cause, boto3's answer counts.
            fetched = self._get_with_retries(image)
            self._fast.note_refusal()
        return fetched

    def _get_with_retries(self, image: ShardImage) -> FetchedImage:
        for attempt in range(BODY_ATTEMPTS - 1):
            try:
                return self._get(image)
            except BROKEN_BODY:
                self._sleep(backoff_seconds(attempt))
        try:
            return self._get(image)
        except BROKEN_BODY as error:
            raise as_storage_error("S3", f"reading s3://{self._bucket}/{image.key}", error) from error

    def _get(self, image: ShardImage) -> FetchedImage:
        try:
            # IfMatch: an object overwritten since it was listed must not get a row with the old ETag.
            answer = self._client.get_object(Bucket=self._bucket, Key=image.key, IfMatch=f'"{image.etag}"')
            if answer.get("ContentLength", 0) > self._max_bytes:
                # Larger than listed: a manifest may claim any size.
                answer["Body"].close()
                raise ImageRejected(
                    FailureReason.TOO_LARGE,
                    f"{answer['ContentLength']:,} bytes; the worker takes {self._max_bytes:,}.",
                )
            return FetchedImage(answer["Body"].read(), answer["LastModified"].astimezone(UTC))
        except BROKEN_BODY:
            raise
        except (ClientError, BotoCoreError) as error:
            code = error_code(error)
            if code in MISSING_CODES:
                raise ImageRejected(FailureReason.NOT_FOUND, "The object is gone since it was listed.") from error
            if code in {"PreconditionFailed", "412"}:
                message = "The object was overwritten since it was listed; the next run embeds the new one."
                raise ImageRejected(FailureReason.CHANGED, message) from error
            if code in ACCESS_DENIED_CODES | {"InvalidObjectState", "KMS.DisabledException"}:
                raise ImageRejected(FailureReason.ACCESS_DENIED, str(error)) from error
            raise as_storage_error("S3", f"reading s3://{self._bucket}/{image.key}", error) from error
