"""`stepvec`: where it begins, and how it ends."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from stepvec.client.region import unify_region
from stepvec.errors import StepvecError
from stepvec_cli.exit_codes import FAILED, INTERRUPTED
from stepvec_cli.lazy import root_group

app = root_group("Images in S3 become verified vectors in DynamoDB. Start with: stepvec local run PHOTOS")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stepvec {version('stepvec')}")
        raise typer.Exit


@app.callback()
def stepvec(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What holds for every command."""


def run() -> None:
    """Entry of the console script: a user's mistake ends in one clear line, never in a traceback."""
    unify_region(os.environ)
    try:
        app()
    except StepvecError as error:
        from stepvec_cli.console import errors  # rich takes a while to import

        errors.quiet = False
        errors.print(f"[bold red]error:[/] {error.message}", highlight=False)
        errors.print(f"       {error.remedy}", highlight=False)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
