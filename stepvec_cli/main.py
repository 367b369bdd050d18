"""`stepvec`: the commands, and how they end."""

from __future__ import annotations

import sys
from typing import Final

import typer

from stepvec.errors import StepvecError
from stepvec_cli import client, deploy, export, local, plan
from stepvec_cli.audit import audit
from stepvec_cli.calibrate import calibrate
from stepvec_cli.console import errors
from stepvec_cli.repair import repair
from stepvec_cli.weights import weights

FAILED: Final = 1
"""Exit code for what went wrong; wrong usage is 2, as typer has it."""
INTERRUPTED: Final = 130

app = typer.Typer(
    name="stepvec",
    help="Images in S3 become verified vectors in DynamoDB. Start with: stepvec local run PHOTOS",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(local.app, name="local")
app.command(name="weights")(weights)
app.command(name="calibrate")(calibrate)
for command in (
    plan.plan,
    client.run,
    client.status,
    client.report,
    client.cancel,
    repair,
    audit,
    export.export,
    deploy.deploy,
    deploy.destroy,
):
    app.command()(command)


def run() -> None:
    """Entry of the console script: a user's mistake ends in one clear line, never in a traceback."""
    try:
        app()
    except StepvecError as error:
        errors.print(f"[bold red]error:[/] {error.message}", highlight=False)
        errors.print(f"       {error.remedy}", highlight=False)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
