"""Invokes Lambda functions: a pool of warm execution environments, as many as there are invocations at once."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from localaws.context import Context
from localaws.errors import LocalCloudError
from localaws.functions.runtime import ExecutionEnvironment, Invocation, InvocationResult
from localaws.log_stream import LogSink, LogStream
from localaws.processes import Child

RESPONSE_BYTES: Final = 6_291_556
"""The limit of AWS on a synchronous answer, as its error message states it."""


@dataclass(frozen=True, slots=True)
class FunctionLogging:
    """A function's LoggingConfig."""

    group: str | None = None
    log_format: str = "Text"
    application_level: str | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is configured now. Its environments are made for it: changed code or settings need new ones."""

    name: str
    arn: str
    role: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: float
    variables: Mapping[str, str] = field(compare=False)
    code_sha256: str
    code: bytes = field(repr=False, compare=False)
    logs: LogSink = field(repr=False, compare=False)

    @property
    def version(self) -> tuple[Function, str]:
        """What an execution environment is made for, to compare."""
        return self, json.dumps(self.variables, sort_keys=True)


class ConcurrencyExceededError(LocalCloudError):
    """As many invocations run as the account may have at once: TooManyRequestsException."""


class LambdaPool:
    """Runs functions for one embedded AWS.

    `logging` holds the LoggingConfig of each function that has one, by name. `concurrency` is how many invocations the
    account may have at once, of all functions together; None for no limit. A new account may have 10:
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """

    def __init__(self, context: Context, python: Path, concurrency: int | None = None) -> None:
        self.concurrency = concurrency
        self._invocations = 0
        self.logging: dict[str, FunctionLogging] = {}
        self._context = context
        self._python = python
        self._lock = threading.Lock()
        self._warm: dict[tuple[Function, str], list[ExecutionEnvironment]] = {}
        self._roots: dict[str, Path] = {}

    def invoke(self, function: Function, event: Any) -> InvocationResult:
        """Runs `function` once with a JSON `event`.

        An error of the handler, a crash, a timeout or a failed import is a result with `failed`. Raises
        ConcurrencyExceededError, and runs nothing, while as many run as may.
        """
        with self._lock:
            if self.concurrency is not None and self._invocations >= self.concurrency:
                raise ConcurrencyExceededError("Rate Exceeded.", remedy="Invoke again a little later.")
            self._invocations += 1
        try:
            return self._invoke(function, event)
        finally:
            with self._lock:
                self._invocations -= 1

    def _invoke(self, function: Function, event: Any) -> InvocationResult:
        version = function.version
        with self._lock:
            warm = self._warm.get(version)
            environment = warm.pop() if warm else None
        if environment is None or environment.child.return_code is not None:
            environment = self._start(function)
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            event=json.dumps(event).encode(),
            function_arn=function.arn,
            timeout_seconds=function.timeout_seconds,
        )
        result = environment.invoke(invocation, platform_lines=self._logging(function).log_format == "Text")
        if result.reusable:
            with self._lock:
                self._warm.setdefault(version, []).append(environment)
        else:
            self._context.children.ended(environment.child)
            environment.close()
        return _limited(result)

    def close(self) -> None:
        """Ends every environment that waits for work."""
        with self._lock:
            idle = [environment for group in self._warm.values() for environment in group]
            self._warm.clear()
        for environment in idle:
            environment.close()

    def _logging(self, function: Function) -> FunctionLogging:
        return self.logging.get(function.name) or FunctionLogging()

    def _start(self, function: Function) -> ExecutionEnvironment:
        root = self._code_root(function)
        logging = self._logging(function)
        group = logging.group or f"/aws/lambda/{function.name}"
        stream_name = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{uuid.uuid4().hex}"
        stream = LogStream(
            function.logs, group, stream_name, may_write=lambda: self._may_log(function, group, stream_name)
        )
        home = self._context.work_directory / "lambda" / uuid.uuid4().hex
        home.mkdir(parents=True)

        def start(runtime_api: str) -> Child:
            logged = {
                "AWS_LAMBDA_LOG_GROUP_NAME": group,
                "AWS_LAMBDA_LOG_STREAM_NAME": stream_name,
                "AWS_LAMBDA_LOG_FORMAT": logging.log_format,
                "AWS_LAMBDA_RUNTIME_API": runtime_api,
            }
            if logging.application_level:
                logged["AWS_LAMBDA_LOG_LEVEL"] = logging.application_level
            environment = self._environment(function, home, root, logged)
            command = [str(self._python), "-m", "awslambdaric", function.handler]
            return self._context.children.start(command, environment=environment, folder=root)

        return ExecutionEnvironment(start, stream)

    def _environment(self, function: Function, home: Path, root: Path, logged: Mapping[str, str]) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""
        return self._context.environment(
            function.role,
            session=function.name[:64],
            service="lambda.amazonaws.com",
            home=home,
            template=function.variables,
            service_variables={
                **logged,
                "_HANDLER": function.handler,
                "AWS_DEFAULT_REGION": self._context.region,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "AWS_REGION": self._context.region,
                "LAMBDA_RUNTIME_DIR": "/var/runtime",
                "LAMBDA_TASK_ROOT": str(root),
                "LANG": "en_US.UTF-8",
                "PYTHONPATH": str(root),
                "TZ": ":UTC",
            },
        )

    def _may_log(self, function: Function, group: str, stream: str) -> bool:
        """Lambda writes logs with the function's role; without the permission they are lost in silence."""
        arn = f"arn:aws:logs:{self._context.region}:{self._context.account}:log-group:{group}"
        return all(
            self._context.authorizer.role_may(function.role, action, f"{arn}:log-stream:{stream}")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents")
        )

    def _code_root(self, function: Function) -> Path:
        with self._lock:
            known = self._roots.get(function.code_sha256)
            if known is not None:
                return known
            root = self._context.work_directory / "code" / hashlib.sha256(function.code).hexdigest()[:16]
            root.mkdir(parents=True)
            with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
                archive.extractall(root)
            self._roots[function.code_sha256] = root
            return root


def _limited(result: InvocationResult) -> InvocationResult:
    if len(result.payload) <= RESPONSE_BYTES:
        return result
    body = {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": (
            f"Response payload size ({len(result.payload)} bytes) exceeded maximum allowed payload size "
            "(6291556 bytes)."
        ),
    }
    return InvocationResult(json.dumps(body).encode(), failed=True, reusable=True, log_tail=result.log_tail)
