"""`stepvec local env`: the local AWS for a whole shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import typer

from stepvec_cli.options import LocalName

if TYPE_CHECKING:
    from stepvec.client.local_aws import LocalAws

_UNSET: Final = (
    r"unset AWS_PROFILE AWS_SESSION_TOKEN $(env | sed -n -e 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p'"
    r" -e 's/^\(BOTO[A-Za-z0-9_]*\)=.*/\1/p')"
)
"""Every setting of AWS's SDKs that the shell has, whatever it is called (stepvec/adapters/isolation.py)."""


def env(name: LocalName = None) -> None:
    """Print what a shell must set for its commands to use the local AWS.

    That is `unset` and `export` lines. They take the shell's other AWS settings away: open a new shell to have them
    back, or use `stepvec local exec`.

    Examples:
        eval "$(stepvec local env)"; aws s3 ls
        eval "$(stepvec local env --name second)"
    """
    from stepvec.client.local_aws import find_local

    for line in lines_for_shell(find_local(name, os.environ), os.environ):
        typer.echo(line)


def lines_for_shell(local: LocalAws, environ: Mapping[str, str]) -> list[str]:
    """Lines for a POSIX shell whose variables are `environ`."""
    exports = local.variables(environ).items()
    return [_UNSET, *(f"export {name}={shlex.quote(value)}" for name, value in exports)]
