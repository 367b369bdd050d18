"""The AWS session of the client commands, and the pipeline that they find with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from stepvec import codec
from stepvec.adapters.aws_errors import ACCESS_DENIED_CODES, error_code
from stepvec.client.deployment import Deployment
from stepvec.errors import AccessDeniedError, ConfigurationError, RecordError, StepvecError, StorageError
from stepvec.estimate.capacity import Capacity
from stepvec.rows.item import VectorType, vector_type
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK

_CONFIG: Final = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5)


def find_deployment(data_stack: str = DATA_STACK, pipeline_stack: str = PIPELINE_STACK) -> Deployment:
    """The pipeline deployed as these stacks, in the account and region of the environment (or of `stepvec local up`).

    Raises ConfigurationError where there are no credentials, no region, or no such stack.
    """
    session = new_session()

    def client(service: str) -> Any:
        return session.client(service, config=_CONFIG)  # type: ignore[call-overload]

    with explained():
        data = _outputs(client("cloudformation"), data_stack)
        pipeline = _outputs(client("cloudformation"), pipeline_stack)
    try:
        return Deployment(
            image_bucket=data["ImageBucketName"],
            work_bucket=data["WorkBucketName"],
            table=data["TableName"],
            state_machine_arn=pipeline["StateMachineArn"],
            model=pipeline["Model"],
            client=client,
        )
    except KeyError as error:
        raise ConfigurationError(
            f"The stacks {data_stack} and {pipeline_stack} have no output {error}.",
            remedy="They are of another version: deploy again.",
        ) from error


@dataclass(frozen=True, slots=True)
class DeployedSettings:
    """What a pipeline was deployed with, as far as its stack's outputs say."""

    model: str
    vector_type: VectorType
    capacity: Capacity


def find_settings(pipeline_stack: str = PIPELINE_STACK) -> DeployedSettings:
    """The settings of the pipeline deployed as this stack. Raises ConfigurationError as find_deployment does."""
    session = new_session()
    with explained():
        outputs = _outputs(session.client("cloudformation", config=_CONFIG), pipeline_stack)
    try:
        return DeployedSettings(
            model=outputs["Model"],
            vector_type=vector_type(outputs["VectorType"]),
            capacity=codec.from_json(Capacity, outputs["Capacity"], where=f"Output Capacity of {pipeline_stack}"),
        )
    except (KeyError, RecordError) as error:
        raise ConfigurationError(
            f"The stack {pipeline_stack} does not say what it was deployed with: {error}.",
            remedy="It is of another version: deploy again.",
        ) from error


def new_session() -> boto3.Session:
    """The session of the environment's credentials and region. Raises ConfigurationError where no region is set."""
    with explained():
        session = boto3.Session()
    if not session.region_name:
        raise ConfigurationError("No AWS region is set.", remedy="Set AWS_DEFAULT_REGION, or a profile's.")
    return session


@contextmanager
def explained() -> Iterator[None]:
    """What AWS refuses in this block, as an error of ours with a remedy."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise ConfigurationError(
            f"There are no AWS credentials: {error}.",
            remedy="Run `aws configure` or set AWS_PROFILE; for the embedded AWS take the lines of `stepvec local up`.",
        ) from error
    except EndpointConnectionError as error:
        raise ConfigurationError(
            f"AWS does not answer: {error}.", remedy="Check the network, and AWS_ENDPOINT_URL if it is set."
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise _explain(error) from error


def _explain(error: Exception) -> StepvecError:
    code = error_code(error)
    if code in ACCESS_DENIED_CODES:
        return AccessDeniedError(f"AWS denied it: {error}.", remedy="Use credentials that may do it.")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return ConfigurationError(f"The credentials are not accepted: {error}.", remedy="Sign in again.")
    return StorageError(f"AWS refused it: {error}.", remedy="See AWS's own words above.")


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError":
            raise ConfigurationError(
                f"There is no stack {stack} in this account and region.",
                remedy="Deploy it with `make deploy`, set AWS_DEFAULT_REGION, or use `stepvec local up`.",
            ) from error
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
