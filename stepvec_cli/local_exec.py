"""`stepvec local exec`: the local AWS for a single command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stepvec_cli.options import LocalName


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command, with its arguments.")],
    name: LocalName = None,
) -> None:
    """Run a command that uses the local AWS, and no other.

    It sees this shell's variables without its AWS settings, and ends as the command ends. Beside what the shell finds
    there is the AWS CLI that Stepvec comes with.

    Examples:
        stepvec local exec -- aws s3 ls
        stepvec local exec -- python my_script.py
        stepvec local exec -- bash
    """
    from stepvec.client.local_aws import find_local
    from stepvec.errors import InvalidInputError

    environment = find_local(name, os.environ).environment(os.environ)
    environment["PATH"] = os.pathsep.join([environment.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606  no shell is meant
    except OSError as error:
        raise InvalidInputError(
            f"{command[0]} cannot be run: {error.strerror}.", remedy="Give a command after `--`, as a shell finds it."
        ) from error
