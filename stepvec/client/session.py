"""The AWS session of a client, and what AWS refuses it as an error with a remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stepvec.client.region import unify_region
from stepvec.errors import ConfigurationError, StorageError
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
        raise ConfigurationError(
            "No AWS region is set.",
            remedy="Set AWS_REGION, or the region of a profile. Without an AWS account: `stepvec local up --detach`.",
        )
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
    except Exception as error:
        # Imported here: botocore takes a while, and most blocks end well.
        from stepvec.client.refusals import better_explained, explained, is_of_aws

        if is_of_aws(error):
            raise explained(error) from error
        if isinstance(error, StorageError) and (better := better_explained(error)) is not None:
            raise better from error
        raise


def _config() -> Config:
    from botocore.config import Config

    return Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5)
