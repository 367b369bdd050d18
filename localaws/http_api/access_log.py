"""The access log of an API: the stage's format, filled in.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from localaws.http_api.model import DEFAULT_STAGE, HttpApi, Route
from localaws.http_api.payload import Caller, Received, Response
from localaws.log_stream import LogSink

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_.]+)")
_STREAM = "access"


def log_line(log_format: str, values: Mapping[str, str]) -> str:
    """`log_format` with `$context.NAME` replaced; what is not known is "-"."""
    return _VARIABLE.sub(lambda match: _escaped(values.get(match[1], "-") or "-"), log_format)


def values_of(
    request: Received, response: Response, api: HttpApi, route: Route | None, *, account: str, caller: Caller | None
) -> dict[str, str]:
    """The variables of a request that was answered."""
    return {
        "accountId": account,
        "apiId": api.api_id,
        "domainName": request.headers.get("host", ""),
        "httpMethod": request.method,
        "identity.accessKey": caller.access_key_id if caller else "",
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": request.headers.get("user-agent", ""),
        "identity.userArn": caller.arn if caller else "",
        "path": request.path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": request.moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": str(int(request.moment.timestamp() * 1000)),
        "responseLength": str(len(response.body)),
        "routeKey": route.key if route else "",
        "stage": DEFAULT_STAGE,
        "status": str(response.status),
    }


def write_line(logs: LogSink, group: str, line: str) -> None:
    """Appends a line to the log group."""
    logs.create(group, _STREAM)
    logs.put(group, _STREAM, [{"timestamp": int(time.time() * 1000), "message": line}])


def _escaped(text: str) -> str:
    """A value inside a format that is JSON, as our formats are: no client's header breaks out of its line."""
    return text.translate({ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r"})
