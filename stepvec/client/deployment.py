"""A deployed pipeline: where its parts are, and what it was deployed with.

Knows nothing of where it is deployed: the embedded AWS and a real account look alike from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from stepvec import codec
from stepvec.adapters.aws_errors import error_code
from stepvec.client.session import new_client, translate_aws_errors
from stepvec.errors import ConfigurationError, RecordError
from stepvec.estimate.capacity import Capacity
from stepvec.rows.item import VectorType, vector_type
from stepvec.runs.http_start import HTTP_OUTPUT
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.run_input import parse_suffixes
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK


class NoSuchStackError(ConfigurationError):
    """There is no stack of that name in the account and region."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the parts of a pipeline are, and clients for them."""

    image_bucket: str
    work_bucket: str
    table: str
    state_machine_arn: str
    model: str
    client: Callable[[str], Any]
    suffixes: SuffixRule = ONLY_IMAGES
    """Which keys its runs take for images, where their input does not say."""
    vector_index: str = ""
    """ARN of its index of S3 Vectors; "" where it has none."""
    http_url: str = ""
    """Of its HTTP API; "" where it has none."""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where asking often costs nothing."""
        return is_local(self.client)


@dataclass(frozen=True, slots=True)
class DeployedSettings:
    """What a pipeline was deployed with, as far as the outputs of its stack say."""

    model: str
    vector_type: VectorType
    capacity: Capacity


def find_deployment(data_stack: str = DATA_STACK, pipeline_stack: str = PIPELINE_STACK) -> Deployment:
    """The pipeline deployed as these stacks, in the account and region of the environment (or of `stepvec local up`).

    Raises ConfigurationError where there are no credentials, no region, or no such stack.
    """
    client = new_client()
    with translate_aws_errors():
        try:
            data = stack_outputs(client("cloudformation"), data_stack)
            pipeline = stack_outputs(client("cloudformation"), pipeline_stack)
        except NoSuchStackError as error:
            raise _with_others(error, client("cloudformation")) from error
    try:
        return Deployment(
            image_bucket=data["ImageBucketName"],
            work_bucket=data["WorkBucketName"],
            table=data["TableName"],
            state_machine_arn=pipeline["StateMachineArn"],
            model=pipeline["Model"],
            client=client,
            suffixes=suffixes_of(pipeline),
            vector_index=data.get("VectorIndexArn", ""),
            http_url=pipeline.get(HTTP_OUTPUT, ""),
        )
    except KeyError as error:
        raise ConfigurationError(
            f"The stacks {data_stack} and {pipeline_stack} have no output {error}.",
            remedy="Correct --data-stack and --pipeline-stack; if they are right, deploy again with this version.",
        ) from error


def find_settings(pipeline_stack: str = PIPELINE_STACK) -> DeployedSettings:
    """The settings of the pipeline deployed as this stack. Raises ConfigurationError as find_deployment does."""
    client = new_client()
    with translate_aws_errors():
        outputs = stack_outputs(client("cloudformation"), pipeline_stack)
    try:
        return DeployedSettings(
            model=outputs["Model"],
            vector_type=vector_type(outputs["VectorType"]),
            capacity=codec.from_json(Capacity, outputs["Capacity"], where=f"Output Capacity of {pipeline_stack}"),
        )
    except (KeyError, RecordError) as error:
        raise ConfigurationError(
            f"The stack {pipeline_stack} does not say what it was deployed with: {error}.",
            remedy="It was deployed by another version: deploy again.",
        ) from error


def suffixes_of(outputs: Mapping[str, str]) -> SuffixRule:
    """The deployment's own suffixes, from the outputs of its pipeline stack; those of older versions name none."""
    return parse_suffixes(codec.from_json(list[str], outputs.get("Suffixes", "[]"), where="Output Suffixes"))


def is_local(client: Callable[[str], Any]) -> bool:
    """Whether these clients' AWS is on this machine, where asking often costs nothing."""
    return urlsplit(str(client("stepfunctions").meta.endpoint_url)).hostname in ("127.0.0.1", "localhost")


def find_stack(cloudformation: Any, stack: str) -> dict[str, Any]:
    """CloudFormation's description of a stack. Raises NoSuchStackError."""
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError":
            raise NoSuchStackError(
                f"There is no stack {stack} in this account in {cloudformation.meta.region_name}.",
                remedy="Deploy it with `make deploy`, set AWS_REGION, or use `stepvec local up`.",
            ) from error
        raise
    return dict(description)


def stack_outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of a stack by name. Raises NoSuchStackError."""
    outputs = find_stack(cloudformation, stack).get("Outputs", [])
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def _with_others(error: NoSuchStackError, cloudformation: Any) -> NoSuchStackError:
    """`error`, with the deployments that there are in the place of the one that is not, where any can be seen."""
    found: dict[str, list[str]] = {"--data-stack": [], "--pipeline-stack": []}
    try:
        for page in cloudformation.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                names = {output["OutputKey"] for output in stack.get("Outputs", [])}
                if {"ImageBucketName", "WorkBucketName", "TableName"} <= names:
                    found["--data-stack"].append(stack["StackName"])
                elif {"StateMachineArn", "Model"} <= names:
                    found["--pipeline-stack"].append(stack["StackName"])
    except ClientError:
        return error  # whoever may not list stacks gets the general remedy
    told = "; ".join(f"{option} {' or '.join(sorted(names))}" for option, names in found.items() if names)
    return NoSuchStackError(error.message, remedy=f"These are there: {told}.") if told else error
