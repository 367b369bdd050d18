"""Patches of executions and definitions."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

_MAX_NAME_CHARACTERS: Final = 80
_REFUSED_IN_NAMES: Final = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]""")
"""White space, brackets, wildcards, special and control characters, surrogates, noncharacters."""


def output_as_json() -> None:
    """DescribeExecution fails on an output with datetimes, gives a text without its quotes and a null not at all.

    It also says SUCCEEDED before the output is there: everything is set before the status here.
    """

    def reflect(communication: Any) -> None:
        execution = communication.execution
        if execution.status != "RUNNING":
            return
        environment = execution.exec_worker.env
        state = environment.program_state()
        execution.stop_date = datetime.now(tz=UTC)
        if isinstance(state, ProgramEnded):
            execution.output = to_json_str(environment.states.get_input(), separators=(",", ":"))
            execution.exec_status = ExecutionStatus.SUCCEEDED
        elif isinstance(state, ProgramStopped):
            execution.error, execution.cause = state.error, state.cause
            execution.exec_status = ExecutionStatus.ABORTED
        elif isinstance(state, ProgramTimedOut):
            execution.exec_status = ExecutionStatus.TIMED_OUT
        elif isinstance(state, ProgramError):
            error = state.error or {}
            execution.error, execution.cause = error.get("error"), error.get("cause")
            execution.exec_status = ExecutionStatus.FAILED
        else:
            raise TypeError(f"an execution ended in the unknown state {type(state).__name__}")

    BaseExecutionWorkerCommunication._reflect_execution_status = reflect


def fail_with_states_errors() -> None:
    """A Fail state may pass on an error such as States.TaskFailed; moto refuses names that begin with States."""

    def init(error: Any, error_name: str | None) -> None:
        ErrorName.__init__(error, error_name=error_name)

    CustomErrorName.__init__ = init


def whole_percentages() -> None:
    """moto's grammar takes 5.0 for ToleratedFailurePercentage and refuses 5."""
    original = AmazonStateLanguageParser.parse

    def parse(definition: str) -> Any:
        return original(json.dumps(_with_float_percentages(json.loads(definition))))

    AmazonStateLanguageParser.parse = staticmethod(parse)


def _with_float_percentages(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_float_percentages(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: float(item) if key == "ToleratedFailurePercentage" and type(item) is int else _with_float_percentages(item)
        for key, item in value.items()
    }


def stop_at_once() -> None:
    """A stopped execution is ABORTED at once on AWS, with the error and cause given.

    In moto it goes on until its Lambda or its Retry's pause ends, and error and cause are lost.
    """

    def stop_execution(response: Any) -> ActionResult:
        execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
        if execution.status == "RUNNING" and execution.exec_worker.env is not None:
            execution.stop(
                stop_date=datetime.now(tz=UTC),
                error=response._get_param("error"),
                cause=response._get_param("cause"),
            )
            execution.exec_worker._execution_communication.terminated()
        return ActionResult({"stopDate": execution.stop_date})

    StepFunctionResponse.stop_execution = stop_execution


def name_executions() -> None:
    """An execution started without a name gets a UUID on AWS; in moto it is called None, and only one can be.

    moto takes any name; AWS's rules are in https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    original = StepFunctionsParserBackend.start_execution

    def start_execution(backend: Any, state_machine_arn: str, name: str | None, execution_input: str) -> Any:
        if name is not None and (not 1 <= len(name) <= _MAX_NAME_CHARACTERS or _REFUSED_IN_NAMES.search(name)):
            raise InvalidName(f"Invalid Name: '{name}'")
        return original(backend, state_machine_arn, name or str(uuid.uuid4()), execution_input)

    StepFunctionsParserBackend.start_execution = start_execution


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "states_output_json": output_as_json,
    "states_stop_at_once": stop_at_once,
    "states_execution_names": name_executions,
    "states_fail_names": fail_with_states_errors,
    "states_whole_percentages": whole_percentages,
}
