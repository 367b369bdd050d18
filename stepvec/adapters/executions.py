"""Starting executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.aws_errors import as_storage_error, error_code

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start_once(client: SFNClient, state_machine_arn: str, *, name: str, run_input: str) -> bool:
    """Start the execution `name`; False where there already was one of that name that has ended.

    One that still runs with the same input is answered by AWS as if it had been started now. Raises StorageError
    for what Step Functions refuses.
    """
    try:
        client.start_execution(stateMachineArn=state_machine_arn, name=name, input=run_input)
    except ClientError as error:
        if error_code(error) == "ExecutionAlreadyExists":
            return False
        raise as_storage_error("Step Functions", f"starting {name}", error) from error
    except BotoCoreError as error:
        raise as_storage_error("Step Functions", f"starting {name}", error) from error
    return True
