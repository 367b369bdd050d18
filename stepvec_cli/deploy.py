"""`stepvec deploy` and `stepvec destroy`: CDK with its conditions checked first, each with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Annotated, Any, Final

import typer
from botocore.exceptions import ClientError

from local_pipeline.installation import MODEL_DIRECTORY, ROOT, path_with_node
from stepvec.adapters.aws_errors import error_code
from stepvec.client.session import explained, new_session
from stepvec.errors import ConfigurationError
from stepvec.stack_names import PIPELINE_STACK
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.console import errors

CDK: Final = "aws-cdk@2.1148.1"
"""npm's `latest` tag is an old 3.0.0, which refuses this library's assemblies; hence the exact version."""
BOOTSTRAP_STACK: Final = "CDKToolkit"

Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]


def deploy(yes: Yes = False) -> None:
    """Build the image and deploy both stacks into the account and region of your AWS credentials."""
    account, region = _account_and_region()
    card = read_model_card(MODEL_DIRECTORY)
    _check_bootstrapped(account, region)
    _check_container_builder()
    errors.print(f"Deploying to account {account}, region {region}, with {card.architecture} ({card.source}).")
    errors.print("Between runs it costs the storage of its buckets and its table, nothing else.", style="dim")
    _cdk("deploy", "--all", "--require-approval", "never" if yes else "broadening")
    errors.print("Next: put images into the bucket, then: stepvec run PREFIX --wait")


def destroy(
    yes: Yes = False,
    pipeline_stack: Annotated[str, typer.Option(help="The stack to delete.")] = PIPELINE_STACK,
) -> None:
    """Delete the pipeline stack. Buckets and table, with all images and vectors, are kept."""
    _account_and_region()
    _cdk("destroy", pipeline_stack, *(["--force"] if yes else []))
    errors.print("Kept: the data stack with its buckets and table. docs/deploy.md says how to remove them.")


def _account_and_region() -> tuple[str, str]:
    session = new_session()
    with explained():
        identity = session.client("sts").get_caller_identity()
    return str(identity["Account"]), session.region_name


def _check_bootstrapped(account: str, region: str) -> None:
    cloudformation: Any = new_session().client("cloudformation")
    try:
        cloudformation.describe_stacks(StackName=BOOTSTRAP_STACK)
    except ClientError as error:
        if error_code(error) != "ValidationError":
            with explained():
                raise
        raise ConfigurationError(
            f"Account {account} has not been bootstrapped for CDK in {region}.",
            remedy=f"Once for each account and region: npx {CDK} bootstrap aws://{account}/{region}",
        ) from error


def _check_container_builder() -> None:
    builder = os.environ.get("CDK_DOCKER", "docker")
    answers = shutil.which(builder) and (
        subprocess.run([builder, "info"], capture_output=True, check=False).returncode == 0
    )
    if not answers:
        raise ConfigurationError(
            f"{builder} does not answer, and the worker's image has to be built.",
            remedy="Start Docker, or name another builder with CDK_DOCKER (podman, finch).",
        )


def _cdk(*arguments: str) -> None:
    path = path_with_node(os.environ.get("PATH", ""))
    npx = shutil.which("npx", path=path)
    if npx is None:
        raise ConfigurationError("There is no npx for the CDK command.", remedy="Run `make setup`.")
    command = [npx, "--yes", CDK, *arguments]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if result.returncode:
        raise ConfigurationError(
            f"cdk {arguments[0]} ended with exit code {result.returncode}.", remedy="Its own words are above."
        )
