"""A request that botocore made and signed, made again with another body: headers, address and signature.

Pure. What is taken over is proven first: for botocore's own request the same bytes and signature must come out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import ReadOnlyCredentials

ALGORITHM: Final = "AWS4-HMAC-SHA256"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
_AUTHORIZATION: Final = re.compile(rf"{ALGORITHM} Credential=[^/]+/\d{{8}}/(\S+), SignedHeaders=(\S+), Signature=\w+")

_KEPT: Final = frozenset({"content-type", "user-agent", "x-amz-target", "x-amz-security-token", "amz-sdk-request"})
"""Headers that are the same in every request."""
_OF_ONE_REQUEST: Final = frozenset({"authorization", "x-amz-date", "content-length", "amz-sdk-invocation-id"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Pattern:
    """What requests to one operation have in common. `scope` is that of their signature behind the date."""

    is_tls: bool
    host: str
    port: int
    host_header: str
    headers: Mapping[str, str]
    signed: tuple[str, ...]
    scope: str
    credentials: ReadOnlyCredentials

    def message(self, body: bytes, date: str) -> bytes:
        """The whole request as it goes over the wire. `date` is a time in UTC, YYYYMMDDTHHMMSSZ."""
        head = [
            "POST / HTTP/1.1",
            f"host: {self.host_header}",
            "accept-encoding: identity",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            f"x-amz-date: {date}",
            f"authorization: {self.authorization(body, date)}",
            f"amz-sdk-invocation-id: {uuid.uuid4()}",
            f"content-length: {len(body)}",
        ]
        return "\r\n".join([*head, "\r\n"]).encode() + body

    def authorization(self, body: bytes, date: str) -> str:
        """The header Authorization of such a request."""
        values = {**self.headers, "host": self.host_header, "x-amz-date": date}
        signed_headers = ";".join(self.signed)
        lines = "".join(f"{name}:{values[name]}\n" for name in self.signed)
        canonical = f"POST\n/\n\n{lines}\n{signed_headers}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{date[:8]}/{self.scope}"
        to_sign = f"{ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = _signing_key(self.credentials.secret_key, scope)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return (
            f"{ALGORITHM} Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={signed_headers}, Signature={signature}"
        )


def body_of(parameters: Mapping[str, Any]) -> bytes:
    """The body of a request of DynamoDB's JSON protocol with these parameters, as botocore serialises them."""
    return json.dumps(parameters, default=_base64).encode()


def pattern_of(
    sent: AWSPreparedRequest, parameters: Mapping[str, Any], credentials: ReadOnlyCredentials
) -> Pattern | None:
    """The pattern of a request that botocore `sent` for `parameters`; None if this module would make another of them.

    So where botocore uses another signature, path or header, or had other credentials, there is no pattern.
    """
    headers = {name.lower(): _text(value) for name, value in sent.headers.items()}
    url = urlsplit(sent.url)
    authorization = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    is_plain = sent.method == "POST" and url.path in ("", "/") and not url.query and url.scheme in _DEFAULT_PORTS
    if authorization is None or not is_plain or not url.hostname or not headers.keys() <= _KEPT | _OF_ONE_REQUEST:
        return None
    port = url.port or _DEFAULT_PORTS[url.scheme]
    bare_host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    kept = {name: value for name, value in headers.items() if name in _KEPT}
    signed = tuple(authorization[2].split(";"))
    if not set(signed) <= {*kept, "host", "x-amz-date"}:
        return None
    pattern = Pattern(
        is_tls=url.scheme == "https",
        host=url.hostname,
        port=port,
        host_header=bare_host if port == _DEFAULT_PORTS[url.scheme] else f"{bare_host}:{port}",
        headers=kept,
        signed=signed,
        scope=authorization[1],
        credentials=credentials,
    )
    body = body_of(parameters)
    is_same = body == sent.body and pattern.authorization(body, headers["x-amz-date"]) == headers["authorization"]
    return pattern if is_same else None


@lru_cache(maxsize=2)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
