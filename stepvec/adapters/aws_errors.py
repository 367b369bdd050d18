"""boto3's errors as our own."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from stepvec.errors import AccessDeniedError, StorageError

ACCESS_DENIED_CODES: Final = frozenset({"AccessDenied", "AccessDeniedException", "403"})
EXISTING_CODES: Final = frozenset({"PreconditionFailed", "412"})
MISSING_CODES: Final = frozenset({"NoSuchKey", "NotFound", "404"})

BROKEN_BODY: Final = (
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    ConnectionError,
    TimeoutError,
)
"""A body that breaks off: boto3 retries a request until its headers are there; the body is ours to retry."""
BODY_ATTEMPTS: Final = 8
"""Of one body."""


def error_code(error: Exception) -> str:
    """The service's code for `error`; "" where it never reached the service."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def as_storage_error(service: str, what: str, error: Exception) -> StorageError:
    """Our error for one that boto3 raised at `what`, with AWS's own words and what to do."""
    if error_code(error) in ACCESS_DENIED_CODES:
        return AccessDeniedError(
            f"{service} denied {what}: {error}.", remedy="Allow it in the policy of the role that AWS names."
        )
    return StorageError(
        f"{service} failed at {what}: {error}.",
        remedy="Check that the bucket or table exists; then start again: only what is missing is done.",
    )
