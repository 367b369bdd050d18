"""`stepvec status`: the newest runs, or how far one is."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from stepvec.client.runs import RUNNING, Run, list_runs
from stepvec.client.session import translate_aws_errors
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.deployment import deployed
from stepvec_cli.options import DataStack, PipelineStack
from stepvec_cli.views.run import print_end, progress_note

RUNS_SHOWN: Final = 10


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; if left out, the newest ones.")] = None,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Show the newest runs, or how far one run is.

    Examples:
        stepvec status
        stepvec status my-run
    """
    deployment = deployed(data_stack, pipeline_stack)
    with translate_aws_errors():
        if run is None:
            runs = list_runs(deployment, RUNS_SHOWN)
            if not runs:
                typer.echo("No run yet. Start one with: stepvec run PREFIX")
            for name, state, start in runs:
                typer.echo(f"{start:%Y-%m-%d %H:%M:%S}  {state:<10} {name}")
            return
        found = Run(deployment, run)
        ended = found.ended()
        if ended is not None:
            print_end(ended)
        else:
            progress = found.progress()
            typer.echo(f"{RUNNING}  {progress_note(progress.to_embed, progress)}")
