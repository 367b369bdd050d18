"""The executions of one state machine, by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.aws_errors import as_storage_error, error_code

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
_MISSING: Final = frozenset({"ExecutionDoesNotExist", "InvalidArn"})
"""InvalidArn is what a name gets that no execution can have."""


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN of the execution of this name."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution. `input` is the text that it was started with; error and cause are "" unless it failed."""

    status: str
    started: datetime
    input: str
    error: str
    cause: str


class Executions:
    """Starts and describes executions. Raises StorageError for what Step Functions refuses."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._machine = state_machine_arn

    def start(self, name: str, run_input: str) -> datetime | None:
        """Start the execution `name`; when it started. None where one of that name has ended or has another input.

        One that still runs with the same input is answered by AWS as if it had been started now.
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
        """
        try:
            answer = self._client.start_execution(stateMachineArn=self._machine, name=name, input=run_input)
        except ClientError as error:
            if error_code(error) == "ExecutionAlreadyExists":
                return None
            raise as_storage_error("Step Functions", f"starting {name}", error) from error
        except BotoCoreError as error:
            raise as_storage_error("Step Functions", f"starting {name}", error) from error
        return answer["startDate"]

    def find(self, name: str) -> Execution | None:
        """The execution `name` of this machine, and of no other; None where there is none."""
        try:
            answer = self._client.describe_execution(executionArn=execution_arn(self._machine, name))
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise as_storage_error("Step Functions", f"describing {name}", error) from error
        except BotoCoreError as error:
            raise as_storage_error("Step Functions", f"describing {name}", error) from error
        return Execution(
            status=answer["status"],
            started=answer["startDate"],
            input=answer.get("input", ""),
            error=answer.get("error", ""),
            cause=answer.get("cause", ""),
        )
