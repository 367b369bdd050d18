"""Payload format 2.0: the event that a function gets of a request, and the response that its answer means.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from localaws.http_api.model import DEFAULT_STAGE, HttpApi, Route

_TEXT: Final = re.compile(
    r"(text/.*|application/(json|javascript|xml)|application/.*\+(json|xml))\s*(;.*)?", re.IGNORECASE
)
"""Content types whose bodies come as text; all others, and bodies without a type, come in base64."""
_NOT_ALLOWED: Final = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "upgrade"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request."""

    access_key_id: str
    arn: str


@dataclass(frozen=True, slots=True)
class Received:
    """A request of an API: path and query as they were sent, header names in lower case."""

    request_id: str
    moment: datetime
    method: str
    path: str
    query: str
    protocol: str
    source_ip: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    @classmethod
    def message(cls, status: int, text: str) -> Response:
        """API Gateway's own answers."""
        body = json.dumps({"message": text}, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json"})


def event_of(
    request: Received, api: HttpApi, route: Route, variables: Mapping[str, str], *, account: str, caller: Caller | None
) -> dict[str, Any]:
    """The event for the function."""
    headers = {name: value for name, value in request.headers.items() if name != "cookie"}
    domain = request.headers.get("host", "")
    context: dict[str, Any] = {
        "accountId": account,
        "apiId": api.api_id,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": route.key,
        "stage": DEFAULT_STAGE,
        "time": request.moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(request.moment.timestamp() * 1000),
    }
    if caller is not None:
        iam = {"accessKey": caller.access_key_id, "accountId": account, "userArn": caller.arn, "cognitoIdentity": None}
        context["authorizer"] = {"iam": iam}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := request.headers.get("cookie"):
        event["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if request.query:
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query.items()}
    if variables:
        event["pathParameters"] = dict(variables)
    if api.stage and api.stage.variables:
        event["stageVariables"] = dict(api.stage.variables)
    return event | _body(request)


def _body(request: Received) -> dict[str, Any]:
    if not request.body:
        return {}
    text = _text_of(request.body) if _TEXT.fullmatch(request.headers.get("content-type", "")) else None
    if text is not None:
        return {"body": text}
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


def _text_of(body: bytes) -> str | None:
    """None for what is said to be text, and is none."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def response_of(payload: bytes) -> Response:
    """The response that a function's answer means. Raises ValueError for one that means none."""
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        # AWS infers the rest: 200, and the answer itself as JSON.
        return Response(200, payload, {"content-type": "application/json"})
    status = int(answer["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode is {status}")
    body = answer.get("body") or ""
    content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else str(body).encode()
    headers = {str(name).lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    if any("\r" in text or "\n" in text for pair in headers.items() for text in pair):
        raise ValueError("a header holds a line break")
    headers = {name: value for name, value in headers.items() if name not in _NOT_ALLOWED}
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    return Response(status, content, headers, tuple(map(str, answer.get("cookies") or ())))
