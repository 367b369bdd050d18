"""Requests that are signed in their query, as presigned URLs are: turned into those that are signed in their headers.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MOST_SECONDS: Final = 604_800
"""How long a presigned URL is good at most: seven days."""
_SIGNING: Final = (
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
    "X-Amz-Security-Token",
)  # fmt: skip


class ExpiredRequest(Exception):  # noqa: N818  as S3 says it
    """A presigned URL that is good no more, or for longer than any is."""


def signed_by_header(environ: dict[str, Any], now: datetime) -> dict[str, Any]:
    """`environ` as it is, or, of a presigned URL, with its signature in Authorization. Raises ExpiredRequest."""
    if "HTTP_AUTHORIZATION" in environ:
        return environ
    pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    query = dict(pairs)
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        return environ
    _check_time(query, now)
    credential, headers = query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", "")
    signature = query.get("X-Amz-Signature", "")
    signed = {
        **environ,
        "QUERY_STRING": urlencode([pair for pair in pairs if pair[0] not in _SIGNING], quote_via=quote),
        "HTTP_AUTHORIZATION": f"{ALGORITHM} Credential={credential}, SignedHeaders={headers}, Signature={signature}",
    }
    if token := query.get("X-Amz-Security-Token"):
        signed["HTTP_X_AMZ_SECURITY_TOKEN"] = token
    return signed


def _check_time(query: dict[str, str], now: datetime) -> None:
    try:
        seconds = int(query["X-Amz-Expires"])
        begun = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (KeyError, ValueError) as error:
        raise ExpiredRequest("X-Amz-Expires and X-Amz-Date must say until when it is good") from error
    if not 0 < seconds <= MOST_SECONDS:
        raise ExpiredRequest(f"X-Amz-Expires must be between 1 and {MOST_SECONDS} seconds")
    if now > begun + timedelta(seconds=seconds):
        raise ExpiredRequest("Request has expired")
