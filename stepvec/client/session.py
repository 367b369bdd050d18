"""The AWS session of a client, and what AWS refuses it as an error with a remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from stepvec.adapters.aws_errors import ACCESS_DENIED_CODES, error_code
from stepvec.client.region import unify_region
from stepvec.errors import AccessDeniedError, ConfigurationError, StepvecError, StorageError
from stepvec.runs.links import console

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config


def new_session() -> boto3.Session:
    """The session of the environment's credentials and region. Raises ConfigurationError where no region is set."""
    import boto3  # half a second, which a command's help need not wait for

    unify_region(os.environ)
    with translate_aws_errors():
        session = boto3.Session()
    if not session.region_name:
        raise ConfigurationError("No AWS region is set.", remedy="Set AWS_REGION, or the region of a profile.")
    return session


def new_client() -> Callable[[str], Any]:
    """What makes a client of a service by its name, in a session as new_session gives it."""
    session, config = new_session(), _config()
    return lambda service: session.client(service, config=config)  # type: ignore[call-overload]


def caller() -> tuple[str, str]:
    """Account and region of the environment's credentials. Raises ConfigurationError as new_session does."""
    session = new_session()
    with translate_aws_errors():
        identity = session.client("sts", config=_config()).get_caller_identity()
    return str(identity["Account"]), session.region_name


def console_url(region: str, page: str, *, query: str = "") -> str:
    """The address of a page of AWS's console in `region`, of whatever partition that is.

    https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/console-help-gsg.html
    """
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"{console(partition, region)}/{page}?{query or f'region={region}'}"


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Raise what AWS refuses in this block as a StepvecError with a remedy."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise ConfigurationError(
            f"There are no AWS credentials: {str(error).rstrip('.')}.",
            remedy="Run `aws configure` or set AWS_PROFILE; for the embedded AWS set what `stepvec local up` prints.",
        ) from error
    except EndpointConnectionError as error:
        raise ConfigurationError(
            f"AWS does not answer: {error}.", remedy="Check the network, and AWS_ENDPOINT_URL if it is set."
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise _as_our_error(error) from error


def _as_our_error(error: Exception) -> StepvecError:
    code = error_code(error)
    if code in ACCESS_DENIED_CODES:
        return AccessDeniedError(f"AWS denied the call: {error}.", remedy="Use credentials that have this permission.")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return ConfigurationError(f"AWS does not accept the credentials: {error}.", remedy="Sign in again.")
    return StorageError(f"AWS refused the call: {error}.", remedy="See AWS's message above.")


def _config() -> Config:
    from botocore.config import Config

    return Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5)
