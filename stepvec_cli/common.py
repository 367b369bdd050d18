"""Options that the table of commands gives to its commands: what they do is done before the command begins."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, MutableMapping
from functools import wraps
from typing import Any

from stepvec.client.region import unify_region
from stepvec_cli.options import Profile, Quiet, Region


def with_common_options(command: Callable[..., None], *, aws: bool, account: bool = False) -> Callable[..., None]:
    """`command` with --quiet; with --profile and --region where it speaks to AWS.

    That is the local AWS where one is up and no other is configured, unless it is about an `account`.
    """
    signature = inspect.signature(command, eval_str=True)
    added: dict[str, tuple[Any, Any]] = {"quiet": (Quiet, False)}
    if aws:
        added = {"profile": (Profile, None), "region": (Region, None), **added}

    @wraps(command)
    def wrapper(**values: Any) -> None:
        quiet, profile, region = (values.pop(name, None) for name in ("quiet", "profile", "region"))
        use_account(os.environ, profile, region)
        if quiet:
            from stepvec_cli.console import errors  # rich takes a while to import

            errors.quiet = True
        if aws and not account:
            from stepvec.client.discovery import use_local_aws  # botocore, for commands that import it themselves

            use_local_aws(os.environ, _tell)
        command(**values)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    parameters += [
        inspect.Parameter(name, keyword, default=default, annotation=annotation)
        for name, (annotation, default) in added.items()
    ]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapper


def _tell(text: str) -> None:
    from stepvec_cli.console import tell  # rich again

    tell(text)


def use_account(environ: MutableMapping[str, str], profile: str | None, region: str | None) -> None:
    """Have botocore, the CDK command line and everything else started from here use this profile and region.

    A profile that is named wins over keys in the environment, as with the AWS CLI's --profile.
    https://docs.aws.amazon.com/cli/latest/userguide/cli-chap-authentication.html
    """
    if profile is not None:
        environ["AWS_PROFILE"] = profile
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            environ.pop(name, None)
    if region is not None:
        environ["AWS_REGION"] = region
    unify_region(environ)
