"""What a request of the HTTP API asks for, from its event (payload format 2.0), and the response it gets.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from stepvec import codec
from stepvec.errors import InvalidInputError
from stepvec.runs.http_start import INPUT_BYTES, TOKEN_HEADER, HttpRefusal, HttpRun, Refusal, run_name

_STATUS: Final[dict[Refusal, int]] = {
    "InvalidInput": 400,
    "NoSuchRun": 404,
    "NoReport": 404,
    "TokenUsed": 409,
    "InputTooLarge": 413,
    "Unavailable": 503,
}
RETRY_SECONDS: Final = 5
_EXAMPLE: Final = 'For example: {"Paths": ["images"]}.'


class InputTooLargeError(InvalidInputError):
    """The body holds more than an execution's input may."""


def read_name(event: Mapping[str, Any]) -> str:
    """The name of the run that a POST is to start. Raises InvalidInputError.

    API Gateway writes headers' names in lower case, and joins those that come twice with a comma.
    """
    return run_name(event.get("headers", {}).get(TOKEN_HEADER.lower()))


def read_input(event: Mapping[str, Any]) -> Any:
    """The JSON document in a POST's body. Raises InvalidInputError, InputTooLargeError."""
    body = event.get("body") or ""
    # API Gateway encodes what its Content-Type does not call text: also the form that `curl -d` says it sends.
    content = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    _check_size(content)
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("The body is not JSON.", remedy=_EXAMPLE) from error


def write_input(document: Any) -> str:
    """`document` as the execution gets it: the same text for the same input, however it was laid out.

    Raises InputTooLargeError for one that grows too large as ASCII.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    _check_size(text.encode())
    return text


def _check_size(content: bytes) -> None:
    if len(content) > INPUT_BYTES:
        raise InputTooLargeError(
            f"The input has {len(content):,} bytes, and may have {INPUT_BYTES:,}.",
            remedy="Name the keys in a manifest: docs/architecture.md, Input.",
        )


def answer_run(run: HttpRun, status: int) -> dict[str, Any]:
    """The response with a run."""
    return _response(status, codec.to_json(run), {"location": f"/runs/{run.run}"} if status != 200 else {})


def answer_report(report: str) -> dict[str, Any]:
    """The response with a run's report."""
    return _response(200, report, {})


def refuse(error: Refusal, message: str) -> dict[str, Any]:
    """The response with what is wrong."""
    headers = {"retry-after": str(RETRY_SECONDS)} if error == "Unavailable" else {}
    return _response(_STATUS[error], codec.to_json(HttpRefusal(error, message)), headers)


def _response(status: int, body: str, headers: Mapping[str, str]) -> dict[str, Any]:
    fixed = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": {**fixed, **headers}, "body": body}
