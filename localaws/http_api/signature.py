"""Signature Version 4 of a request, checked as AWS does: the embedded AWS does so for HTTP APIs only.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_HEADER: Final = re.compile(
    rf"{_ALGORITHM}\s+Credential=([^/,\s]+)/(\d{{8}})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request\s*,"
    r"\s*SignedHeaders=([a-z0-9;_-]+)\s*,\s*Signature=([0-9a-f]{64})\s*"
)
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a request's time may be from AWS's.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""


class SignatureError(Exception):
    """The request carries no signature, or one that does not fit. `str()` says why, for the log alone."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came: path and query as they were sent, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def check_signature(
    request: SignedRequest, *, region: str, service: str, secret_of: Callable[[str], str | None], now: datetime
) -> str:
    """The access key that signed `request` for `service` in `region`. Raises SignatureError.

    `secret_of` gives a key's secret; None for a key that was never issued.
    """
    match = _HEADER.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise SignatureError("there is no Authorization header of Signature Version 4")
    access_key_id, day, signed_region, signed_service, names, signature = match.groups()
    if (signed_region, signed_service) != (region, service):
        raise SignatureError(f"it is signed for {signed_service} in {signed_region}, not {service} in {region}")
    stamp = request.headers.get("x-amz-date", "")
    _check_time(stamp, day, now)
    signed = names.split(";")
    needed = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if missing := sorted(needed - set(signed)):
        raise SignatureError(f"these headers are not signed: {', '.join(missing)}")
    secret = secret_of(access_key_id)
    if secret is None:
        raise SignatureError("the access key was never issued")
    scope = f"{day}/{region}/{service}/aws4_request"
    canonical = _canonical_request(request, signed)
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _signing_key(secret, (day, region, service, "aws4_request"))
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise SignatureError("the signature is not that of this request with this key")
    return access_key_id


def _check_time(stamp: str, day: str, now: datetime) -> None:
    try:
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureError("X-Amz-Date is missing or no time") from error
    if not stamp.startswith(day):
        raise SignatureError("the day of the credential scope is not that of X-Amz-Date")
    if abs(now - sent) > CLOCK_SKEW:
        raise SignatureError("the request is too old, or from the future")


def _canonical_request(request: SignedRequest, signed: Iterable[str]) -> str:
    """Of any service but S3: the path's segments are encoded twice, once by whoever sent it."""
    signed = list(signed)
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    path = quote(_without_dots(request.path), safe="/~-_.")
    payload = hashlib.sha256(request.body).hexdigest()
    return "\n".join([request.method, path, _canonical_query(request.query), headers, ";".join(signed), payload])


def _without_dots(path: str) -> str:
    """RFC 3986, 6.2.2.3: without "." and "..", and without empty segments."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    trailing = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{trailing}"


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")


def _signing_key(secret: str, scope: Iterable[str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
