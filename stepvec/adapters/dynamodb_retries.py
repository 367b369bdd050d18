"""Sending a request to DynamoDB again: what may pass, how often, how long to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from stepvec.adapters.aws_errors import as_storage_error, error_code
from stepvec.errors import StorageError
from stepvec.pacing import backoff_seconds

Answer = TypeVar("Answer")

MAX_ATTEMPTS: Final = 16
"""Times that a request is sent: the waits add up to some 70 s, at most 145, so that a cold table can split."""

_TRY_AGAIN_CODES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
    }
)
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""
_SERVER_ERROR: Final = 500


def retried(
    what: str,
    request: Callable[[], Answer],
    *,
    starved: Callable[[str], StorageError],
    sleep: Callable[[float], None] = time.sleep,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Answer:
    """The answer to `request`, a call of a client that does not try again itself; `what` names it in errors.

    Raises StorageError: at once for what will not pass and once `is_stopped`, and what `starved` makes of the last
    error's text after MAX_ATTEMPTS.
    """
    for attempt in range(MAX_ATTEMPTS):
        try:
            return request()
        except (ClientError, BotoCoreError) as error:
            if not _may_pass(error) or is_stopped():
                raise as_storage_error("DynamoDB", what, error) from error
            if attempt == MAX_ATTEMPTS - 1:
                raise starved(str(error)) from error
        sleep(backoff_seconds(attempt))
    raise AssertionError("unreachable")


def _may_pass(error: ClientError | BotoCoreError) -> bool:
    """Whether the same request may succeed in a while: throttled, a fault of the service, or of the network."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return error_code(error) in _TRY_AGAIN_CODES or status >= _SERVER_ERROR
    return isinstance(error, HTTPClientError)
