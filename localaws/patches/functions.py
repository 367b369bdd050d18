"""Patch of moto's Lambda: functions run under AWS's runtime client, not in Docker."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from moto.awslambda.models import LambdaFunction

from localaws.context import current
from localaws.errors import LocalCloudError
from localaws.functions.runtime import Outcome


def _invoke(function: Any, event: Any) -> Outcome:
    pool = current().lambda_pool
    if pool is None:
        raise LocalCloudError("Functions cannot be invoked yet.", remedy="Wait until the stacks are deployed.")
    return pool.invoke(function, event)


def run_functions_as_processes() -> None:
    """Every way to invoke (the API, event sources) ends in one of these two methods."""

    def invoke(function: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        outcome = _invoke(function, json.loads(body) if body else {})
        if request_headers.get("x-amz-invocation-type") == "Event":
            return b""
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log_tail).decode()
        return outcome.payload

    def invoke_lambda(function: Any, event: Any = None) -> tuple[str, bool, str]:
        outcome = _invoke(function, {} if event is None else event)
        return outcome.payload.decode(), outcome.failed, outcome.log_tail.decode(errors="replace")

    LambdaFunction.invoke = invoke
    LambdaFunction._invoke_lambda = invoke_lambda


PATCHES: Final[dict[str, Callable[[], None]]] = {"lambda_processes": run_functions_as_processes}
