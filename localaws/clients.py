"""boto3 clients of the embedded AWS."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Final, cast

import boto3
from botocore.config import Config

from localaws.iam.credentials import Credentials

_READ_TIMEOUT_SECONDS: Final = 920
"""Above the longest timeout of a Lambda function."""
_session_lock = threading.Lock()


def make_client(
    service: str,
    *,
    endpoint_url: str,
    region: str,
    credentials: Credentials,
    validate_parameters: bool = True,
) -> Any:
    """A client of `service` that never retries: what fails here fails again.

    Safe from several threads, both making one and using one.
    """
    with _session_lock:
        return _session().client(
            service,
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token or None,
            config=Config(
                parameter_validation=validate_parameters,
                retries={"total_max_attempts": 1},
                max_pool_connections=64,
                read_timeout=_READ_TIMEOUT_SECONDS,
            ),
        )


@cache
def _session() -> Any:
    """One for all clients: each session parses the list of all endpoints again, a third of a second."""
    # Typed loosely on purpose: the stubs know only literal service names.
    return cast(Any, boto3.session.Session())
