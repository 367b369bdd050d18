"""Patches of how moto's state machines call other services: with whose credentials, in which case of letters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel
from moto.stepfunctions.parser import models as _models  # noqa: F401  imports what is patched below
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.utils import camel_to_snake_case

from localaws.clients import make_client
from localaws.patches.running import current


def client_for(region: str, service: str, state_credentials: Any) -> Any:
    """A client with the execution role's credentials, kept for the life of the embedded AWS."""
    context = current().context
    key = (region, service, state_credentials.role_arn)
    with context.clients_lock:
        if key not in context.clients:
            credentials = context.credentials.for_role(key[2], "states", "states.amazonaws.com")
            context.clients[key] = make_client(
                service,
                endpoint_url=context.client_url,
                region=region,
                credentials=credentials,
                # Step Functions passes on what the definition says; the service answers for it.
                validate_parameters=False,
            )
        return context.clients[key]


def use_execution_role() -> None:
    """moto calls with a fixed key, for which no policy can be checked."""
    original = boto_client.boto_client_for
    for name, module in list(sys.modules.items()):
        is_parser = name.startswith("moto.stepfunctions.parser")
        if is_parser and getattr(module, "boto_client_for", None) is original:
            module.boto_client_for = client_for  # type: ignore[attr-defined]


@lru_cache(maxsize=64)
def _operations(service: str) -> dict[str, OperationModel]:
    model = botocore.session.get_session().get_service_model(service)
    return {camel_to_snake_case(name): model.operation_model(name) for name in model.operation_names}


def translate_letter_case() -> None:
    """A definition says JobName, the Batch API jobName: moto leaves both as they are."""

    def operation(task: Any, service: str | None, action: str | None) -> OperationModel:
        return _operations(task._get_boto_service_name(service))[task._get_boto_service_action(action)]

    def normalise_parameters(
        task: Any,
        parameters: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = operation(task, boto_service_name, service_action_name).input_shape
        if shape is not None:
            task._to_boto_request(parameters, shape)

    def normalise_response(
        task: Any,
        response: Any,
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = operation(task, boto_service_name, service_action_name).output_shape
        if shape is not None:
            task._from_boto_response(response, shape)

    StateTaskService._normalise_parameters = normalise_parameters
    StateTaskService._normalise_response = normalise_response


def name_errors_like_the_sdk() -> None:
    """Step Functions calls by AWS's Java SDK: an error that the service's model lacks has the service's base name.

    So AccessDenied is Batch.AWSBatchException, which a Retry must name; moto gives Batch.AccessDeniedException.
    """
    for task_class, base in (
        (StateTaskServiceBatch, "AWSBatchException"),
        (StateTaskServiceLambda, "AWSLambdaException"),
    ):
        task_class._from_error = _renaming(task_class._from_error, base)


def _renaming(original: Callable[..., FailureEvent], base: str) -> Callable[..., FailureEvent]:
    def from_error(task: Any, env: Any, ex: Exception) -> FailureEvent:
        failure = original(task, env, ex)
        if isinstance(ex, ClientError):
            code = ex.response["Error"]["Code"]
            name = code if code in _modelled_errors(task) else base
        elif isinstance(ex, BotoCoreError):
            name = "SdkClientException"
        else:
            return failure
        details = next(iter(failure.event_details.values()))
        details["error"] = f"{task._get_sfn_resource_type().capitalize()}.{name}"
        failure.error_name.error_name = details["error"]
        return failure

    return from_error


def _modelled_errors(task: Any) -> set[str]:
    operation = _operations(task._get_boto_service_name())[task._get_boto_service_action()]
    shapes: list[Any] = operation.error_shapes
    return {name for shape in shapes for name in (shape.name, shape.error_code) if name}


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "states_execution_role": use_execution_role,
    "states_letter_case": translate_letter_case,
    "states_sdk_error_names": name_errors_like_the_sdk,
}
