"""Which AWS a command means: the one that is configured, or else the local one that is up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

import botocore.session
from botocore.exceptions import BotoCoreError

from stepvec.client.local_aws import all_up, find_local

_NAMED: Final = frozenset({"AWS_PROFILE", "AWS_DEFAULT_PROFILE"})
_METADATA: Final = "iam-role"
"""botocore's name for the instance role, whose credentials come from an address that answers on EC2 alone."""


def use_local_aws(environ: MutableMapping[str, str], tell: Callable[[str], None]) -> None:
    """Where no AWS is configured in `environ` and a local one is up, have this process and its children use that.

    Says so by `tell`. Raises ConfigurationError where several are up.
    """
    if not all_up(environ) or is_aws_configured(environ):
        return
    local = find_local(None, environ)
    kept = local.environment(environ)
    environ.clear()
    environ.update(kept)
    tell(f"No AWS is configured: this is the local AWS, {local.name}, at {local.endpoint_url}.")


def is_aws_configured(environ: Mapping[str, str]) -> bool:
    """Whether there are a profile, an endpoint or credentials. An EC2 instance's, which take seconds, do not count."""
    if any(value and (name in _NAMED or name.startswith("AWS_ENDPOINT_URL")) for name, value in environ.items()):
        return True
    session = botocore.session.get_session()
    try:
        session.get_component("credential_provider").remove(_METADATA)
        return session.get_credentials() is not None
    except BotoCoreError:
        # There are some, and what is wrong with them is said by whoever uses them.
        return True
