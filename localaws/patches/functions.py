"""Patch of moto's Lambda: functions run under AWS's runtime client, not in Docker."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from moto.awslambda.models import LambdaFunction
from moto.core.exceptions import JsonRESTError

from localaws.functions.pool import ConcurrencyExceededError, Function
from localaws.functions.runtime import InvocationResult
from localaws.patches.moto_state import MotoLogs
from localaws.patches.running import current

_DEFAULT_TIMEOUT_SECONDS: Final = 3


def read_function(function: Any) -> Function:
    """moto's `function` as it is configured now."""
    return Function(
        name=function.function_name,
        arn=function.function_arn,
        role=function.role,
        runtime=function.run_time,
        handler=function.handler,
        memory_mb=int(function.memory_size),
        timeout_seconds=float(function.timeout or _DEFAULT_TIMEOUT_SECONDS),
        variables={name: str(value) for name, value in function.environment_vars.items()},
        code_sha256=function.code_sha_256,
        code=function.code_bytes,
        logs=MotoLogs(function.logs_backend),
    )


class TooManyRequestsException(JsonRESTError):  # type: ignore[misc]  # noqa: N818  moto is not typed; AWS's name
    """What Invoke answers when the account's concurrency is used up."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


def _invoke(function: Any, event: Any) -> InvocationResult:
    try:
        return current().functions.invoke(read_function(function), event)
    except ConcurrencyExceededError as error:
        raise TooManyRequestsException from error


def run_functions_as_processes() -> None:
    """Every way to invoke (the API, event sources) ends in one of these two methods."""

    def invoke(function: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        result = _invoke(function, json.loads(body) if body else {})
        if request_headers.get("x-amz-invocation-type") == "Event":
            return b""
        if result.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        response_headers["x-amz-log-result"] = base64.b64encode(result.log_tail).decode()
        return result.payload

    def invoke_lambda(function: Any, event: Any = None) -> tuple[str, bool, str]:
        result = _invoke(function, {} if event is None else event)
        return result.payload.decode(), result.failed, result.log_tail.decode(errors="replace")

    LambdaFunction.invoke = invoke
    LambdaFunction._invoke_lambda = invoke_lambda


PATCHES: Final[dict[str, Callable[[], None]]] = {"lambda_processes": run_functions_as_processes}
