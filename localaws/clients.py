"""boto3 clients of the embedded AWS."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any, Final, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

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
                # Not even those of the environment: this machine is asked directly, and sees keys alone.
                proxies={},
            ),
        )


@cache
def _session() -> Any:
    """One for all clients: each session parses the list of all endpoints again, a third of a second.

    It has botocore's defaults, whatever the environment, ~/.aws/config and ~/.aws/models say.
    """
    names = botocore.session.Session.SESSION_VARIABLES
    without = {name: (None, None, default, convert) for name, (_, _, default, convert) in names.items()}
    for file in ("config_file", "credentials_file"):
        without[file] = (None, None, os.devnull, None)
    core = botocore.session.Session(session_vars=without)
    paths = [Loader.BUILTIN_DATA_PATH]
    core.register_component("data_loader", Loader(extra_search_paths=paths, include_default_search_paths=False))
    # Typed loosely on purpose: the stubs know only literal service names.
    return cast(Any, boto3.session.Session(botocore_session=core))
