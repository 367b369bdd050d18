"""`stepvec`: where it begins, and how it ends."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from stepvec.client.region import unify_region
from stepvec_cli.endings import ended_by_signals
from stepvec_cli.failures import end_of
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
    with ended_by_signals():
        sys.exit(end_of(app))
