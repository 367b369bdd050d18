"""Sending a request to DynamoDB again: what may pass, and how often."""

from __future__ import annotations

from typing import Final

from stepvec.adapters.retries import Retries

MAX_ATTEMPTS: Final = 16
"""Times that a request is sent: the waits add up to some 70 s, at most 145, so that a cold table can split."""

DYNAMODB: Final = Retries(
    "DynamoDB",
    frozenset(
        {
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "Throttling",
            "RequestLimitExceeded",
            "InternalServerError",
            "ServiceUnavailable",
        }
    ),
    MAX_ATTEMPTS,
)
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""

retried = DYNAMODB.answer
