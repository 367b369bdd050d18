"""Invokes Lambda functions: a pool of warm execution environments, as many as there are invocations at once."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localaws.context import Context, FunctionLogging
from localaws.functions.runtime import ExecutionEnvironment, Invocation, Outcome
from localaws.log_stream import LogStream
from localaws.processes import Child

RESPONSE_BYTES: Final = 6_291_556
"""The limit of AWS on a synchronous answer, as its error message states it."""


@dataclass(frozen=True, slots=True)
class _Version:
    """What an execution environment is made for: changed code or settings need a new one."""

    function_arn: str
    code_sha256: str
    settings: str


class LambdaPool:
    """Runs functions for one embedded AWS."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._warm: dict[_Version, list[ExecutionEnvironment]] = {}
        self._roots: dict[str, Path] = {}

    def invoke(self, function: Any, event: Any) -> Outcome:
        """Runs moto's `function` once with a JSON `event`.

        An error of the handler, a crash, a timeout or a failed import is an Outcome with `failed`.
        """
        version = _Version(function.function_arn, function.code_sha_256, _settings(function))
        with self._lock:
            warm = self._warm.get(version)
            environment = warm.pop() if warm else None
        if environment is None or environment.child.return_code is not None:
            environment = self._start(function)
        logging = self._logging(function)
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            event=json.dumps(event).encode(),
            function_arn=function.function_arn,
            timeout_seconds=float(function.timeout or 3),
        )
        outcome = environment.invoke(invocation, platform_lines=logging.log_format == "Text")
        if outcome.reusable:
            with self._lock:
                self._warm.setdefault(version, []).append(environment)
        else:
            self._context.children.ended(environment.child)
            environment.close()
        return _limited(outcome)

    def close(self) -> None:
        """Ends every environment that waits for work."""
        with self._lock:
            idle = [environment for group in self._warm.values() for environment in group]
            self._warm.clear()
        for environment in idle:
            environment.close()

    def _logging(self, function: Any) -> FunctionLogging:
        return self._context.function_logging.get(function.function_name) or FunctionLogging()

    def _start(self, function: Any) -> ExecutionEnvironment:
        root = self._code_root(function)
        logging = self._logging(function)
        group = logging.group or f"/aws/lambda/{function.function_name}"
        stream_name = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{uuid.uuid4().hex}"
        stream = LogStream(
            function.logs_backend, group, stream_name, may_write=lambda: self._may_log(function, group, stream_name)
        )
        home = self._context.work_directory / "lambda" / uuid.uuid4().hex
        home.mkdir(parents=True)

        def start(runtime_api: str) -> Child:
            environment = self._environment(function, home, root)
            environment.update(
                AWS_LAMBDA_RUNTIME_API=runtime_api,
                AWS_LAMBDA_LOG_GROUP_NAME=group,
                AWS_LAMBDA_LOG_STREAM_NAME=stream_name,
                AWS_LAMBDA_LOG_FORMAT=logging.log_format,
            )
            if logging.application_level:
                environment["AWS_LAMBDA_LOG_LEVEL"] = logging.application_level
            command = [str(self._context.lambda_python), "-m", "awslambdaric", function.handler]
            return self._context.children.start(command, environment=environment, folder=root)

        return ExecutionEnvironment(start, stream)

    def _environment(self, function: Any, home: Path, root: Path) -> dict[str, str]:
        environment = self._context.environment(
            function.role,
            session=function.function_name[:64],
            service="lambda.amazonaws.com",
            home=home,
            execution_environment=f"AWS_Lambda_{function.run_time}",
            template={name: str(value) for name, value in function.environment_vars.items()},
        )
        environment.update(
            PYTHONPATH=str(root),
            LAMBDA_TASK_ROOT=str(root),
            _HANDLER=function.handler,
            AWS_LAMBDA_FUNCTION_NAME=function.function_name,
            AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(function.memory_size),
            AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
        )
        return environment

    def _may_log(self, function: Any, group: str, stream: str) -> bool:
        """Lambda writes logs with the function's role; without the permission they are lost in silence."""
        arn = f"arn:aws:logs:{self._context.region}:{self._context.account}:log-group:{group}"
        return all(
            self._context.authorizer.role_may(function.role, action, f"{arn}:log-stream:{stream}")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents")
        )

    def _code_root(self, function: Any) -> Path:
        with self._lock:
            known = self._roots.get(function.code_sha_256)
            if known is not None:
                return known
            digest = hashlib.sha256(function.code_bytes).hexdigest()[:16]
            root = self._context.work_directory / "code" / digest
            root.mkdir(parents=True)
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                archive.extractall(root)
            self._roots[function.code_sha_256] = root
            return root


def _settings(function: Any) -> str:
    values = (
        function.environment_vars,
        function.handler,
        function.timeout,
        function.memory_size,
        function.role,
    )
    return json.dumps(values, sort_keys=True, default=str)


def _limited(outcome: Outcome) -> Outcome:
    if len(outcome.payload) <= RESPONSE_BYTES:
        return outcome
    body = {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": (
            f"Response payload size ({len(outcome.payload)} bytes) exceeded maximum allowed payload size "
            "(6291556 bytes)."
        ),
    }
    return Outcome(json.dumps(body).encode(), failed=True, reusable=True, log_tail=outcome.log_tail)
