"""`stepvec`: the commands, and how they end."""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from stepvec.client.session import unify_region
from stepvec.errors import StepvecError
from stepvec_cli.audit import audit
from stepvec_cli.calibrate import calibrate
from stepvec_cli.cancel import cancel
from stepvec_cli.console import errors
from stepvec_cli.deploy import deploy
from stepvec_cli.destroy import destroy
from stepvec_cli.doctor import doctor
from stepvec_cli.export import export
from stepvec_cli.inventory import inventory
from stepvec_cli.local_run import run as local_run
from stepvec_cli.local_up import up as local_up
from stepvec_cli.plan import plan
from stepvec_cli.repair import repair
from stepvec_cli.report import report
from stepvec_cli.run import run as run_command
from stepvec_cli.status import status
from stepvec_cli.weights import weights

FAILED: Final = 1
"""Exit code of a command that failed; wrong usage is typer's 2."""
INTERRUPTED: Final = 130

app = typer.Typer(
    name="stepvec",
    help="Images in S3 become verified vectors in DynamoDB. Start with: stepvec local run PHOTOS",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
local = typer.Typer(help="The whole pipeline on this machine: no AWS account, no Docker.", no_args_is_help=True)
local.command(name="up")(local_up)
local.command(name="run")(local_run)
app.add_typer(local, name="local")
for command in (
    weights,
    calibrate,
    plan,
    status,
    report,
    cancel,
    repair,
    audit,
    export,
    inventory,
    doctor,
    deploy,
    destroy,
):
    app.command()(command)
app.command(name="run")(run_command)


def run() -> None:
    """Entry of the console script: a user's mistake ends in one clear line, never in a traceback."""
    unify_region(os.environ)
    try:
        app()
    except StepvecError as error:
        errors.print(f"[bold red]error:[/] {error.message}", highlight=False)
        errors.print(f"       {error.remedy}", highlight=False)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
