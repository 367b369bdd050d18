"""`stepvec deploy`: checks what CDK needs, then deploys."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any, Final

from botocore.exceptions import ClientError

from local_pipeline.installation import CDK, MODEL_DIRECTORY, run_cdk
from stepvec.adapters.aws_errors import error_code
from stepvec.client.session import caller, new_session, translate_aws_errors
from stepvec.errors import ConfigurationError
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.console import errors
from stepvec_cli.options import Yes

BOOTSTRAP_STACK: Final = "CDKToolkit"


def deploy(yes: Yes = False) -> None:
    """Build the image and deploy both stacks into the account and region of your AWS credentials."""
    account, region = caller()
    card = read_model_card(MODEL_DIRECTORY)
    _check_bootstrapped(account, region)
    _check_container_builder()
    errors.print(f"Deploying to account {account}, region {region}, with {card.architecture} ({card.source}).")
    errors.print("Between runs you pay only for the storage of its buckets and its table.", style="dim")
    run_cdk("deploy", "--all", "--require-approval", "never" if yes else "broadening", region=region)
    errors.print("Next: put images into the bucket, then: stepvec run PREFIX --wait")


def _check_bootstrapped(account: str, region: str) -> None:
    cloudformation: Any = new_session().client("cloudformation")
    try:
        cloudformation.describe_stacks(StackName=BOOTSTRAP_STACK)
    except ClientError as error:
        if error_code(error) != "ValidationError":
            with translate_aws_errors():
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
            f"{builder} does not answer, and it must build the worker's image.",
            remedy="Start Docker, or name another builder with CDK_DOCKER (podman, finch).",
        )
