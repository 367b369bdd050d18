"""GET by obstore (Rust's object_store), at a seventh of boto3's CPU; boto3 has the last word on what fails.

Any GET that obstore does not answer with the object's bytes is made again by boto3, so that keys, errors, redirects
and long retries are always boto3's: docs/decisions/0045.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3
import obstore
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError
from obstore.store import S3Store

from stepvec.adapters.beside_boto3 import PAUSE_SECONDS, Pause, certificate_authorities
from stepvec.adapters.telemetry import logger
from stepvec_worker.images.fetching import FetchedImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore.store import ClientConfig, RetryConfig

CREDENTIALS_TTL: Final = timedelta(minutes=10)
"""How long obstore may use the credentials botocore gave it.
botocore hands out no temporary credentials that end within ten minutes
(RefreshableCredentials._mandatory_refresh_timeout); obstore asks again five minutes before the end."""

_RETRIES: Final[RetryConfig] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
"""Short: boto3's eight attempts follow."""

_FOREIGN_KEY: Final = re.compile(r"^/|/$|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f]")
"""Keys that object_store refuses or changes: its Path allows no empty, "." or ".." segments and no control
characters."""

_NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)

_AMAZON: Final = re.compile(r"\.amazonaws\.com(\.cn)?$|\.api\.aws$")
_HOST_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Buckets whose name can be the first part of a host name: no dots, which TLS certificates do not cover."""


def is_plain_key(key: str) -> bool:
    """Whether object_store sends `key` as it is."""
    return _FOREIGN_KEY.search(key) is None


class FastReader:
    """Reads objects of one bucket. Safe to use from several threads, not across a fork."""

    def __init__(self, store: S3Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._pause = Pause(clock)

    def takes(self, key: str) -> bool:
        """Whether `read` is worth trying for `key` now."""
        return is_plain_key(key) and not self._pause.is_on()

    def read(self, key: str, etag: str, *, max_bytes: int) -> FetchedImage | None:
        """The object's bytes if it still has `etag` and is not larger than `max_bytes`; else None: use boto3."""
        try:
            answer = obstore.get(self._store, key, options={"if_match": f'"{etag}"'})
            if answer.meta["size"] > max_bytes:
                return None  # larger than listed: a manifest may claim any size
            data = answer.bytes().to_bytes()
        except (BaseError, OSError, ValueError) as error:
            # OSError and ValueError: obstore's own errors for "not found" and for keys.
            logger.debug("obstore refused", key=key, error=str(error)[:300])
            return None
        except BaseException as error:
            # A panic in Rust is no Exception. It has read nothing, and leaves the client as it was.
            if type(error).__name__ != "PanicException":
                raise
            logger.warning("obstore panicked; boto3 reads the object", key=key, error=str(error)[:300])
            return None
        modified = answer.meta["last_modified"].astimezone(UTC)
        # object_store reads a missing date as 1970, and a row with that date would give way to any other.
        if len(data) != answer.meta["size"] or modified <= _NO_DATE:
            return None
        self._pause.note_success()
        return FetchedImage(data, modified)

    def note_refusal(self) -> None:
        """Call when boto3 read an object that `read` did not."""
        if self._pause.note_failure():
            logger.warning(
                "boto3 reads what obstore does not; GETs go through boto3 for a while", seconds=PAUSE_SECONDS
            )


def fast_reader(client: S3Client, bucket: str, *, timeout_seconds: float = 20.0) -> FastReader | None:
    """A FastReader with the region, endpoint and credentials of `client`; None if obstore cannot read `bucket`.

    `timeout_seconds` is for a whole request; an object that takes longer is left to boto3.
    """
    if bucket.endswith("--x-s3") or "/" in bucket or ":" in bucket:
        return None  # directory buckets and access points have their own hosts and signatures
    endpoint, virtual_hosted = _address(client, bucket)
    is_http = urlsplit(endpoint).scheme == "http"
    options: ClientConfig = {
        "allow_http": is_http,  # only if the operator's own endpoint is http
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(seconds=timeout_seconds),
    }
    if not is_http:
        # obstore adds the system's.
        options["root_certificate"] = Path(certificate_authorities()).read_bytes()
    try:
        credentials = Boto3CredentialProvider(boto3.Session(), ttl=CREDENTIALS_TTL)
        store = S3Store(
            bucket,
            region=client.meta.region_name,
            endpoint=endpoint,
            virtual_hosted_style_request=virtual_hosted,
            credential_provider=credentials,
            client_options=options,
            retry_config=_RETRIES,
        )
    except (BaseError, ValueError) as error:
        # ValueError: there are no credentials. boto3 reports that better.
        logger.warning("GETs go through boto3: obstore cannot be set up", error=str(error)[:300])
        return None
    return FastReader(store)


def _address(client: S3Client, bucket: str) -> tuple[str, bool]:
    """The endpoint of `bucket`, and whether the bucket is in its host: as boto3 addresses it.

    boto3 puts the bucket into the host of Amazon's endpoints and into the path of all others.
    """
    endpoint = urlsplit(client.meta.endpoint_url)
    if _AMAZON.search(endpoint.hostname or "") and _HOST_NAME.fullmatch(bucket):
        return f"{endpoint.scheme}://{bucket}.{endpoint.netloc}", True
    return client.meta.endpoint_url, False
