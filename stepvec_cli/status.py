"""`stepvec status`: the newest runs, or how far one is."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from stepvec.adapters.executions import RUNNING
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run, RunEnd, list_runs
from stepvec.client.session import translate_aws_errors
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import RunState, StatusAnswer, print_json
from stepvec_cli.console import answers, errors
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack
from stepvec_cli.views.run import print_end, progress_note

RUNS_SHOWN: Final = 10


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; if left out, the newest ones.")] = None,
    as_json: AsJson = False,
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
            _list(deployment, as_json=as_json)
            return
        found = Run(deployment, run)
        ended = found.ended()
        if as_json:
            print_json(StatusAnswer((_state(found, ended),)))
        elif ended is not None:
            print_end(ended, answers)
        else:
            progress = found.progress()
            typer.echo(f"{RUNNING}  {progress_note(progress.to_embed, progress)}")


def _list(deployment: Deployment, *, as_json: bool) -> None:
    runs = list_runs(deployment, RUNS_SHOWN)
    if as_json:
        print_json(StatusAnswer(tuple(RunState(name, state, start.isoformat()) for name, state, start in runs)))
        return
    if not runs:
        errors.print("No run yet. Start one with: stepvec run PREFIX", highlight=False)
    for name, state, start in runs:
        typer.echo(f"{start:%Y-%m-%d %H:%M:%S}  {state:<10} {name}")


def _state(run: Run, ended: RunEnd | None) -> RunState:
    if ended is None:
        now = run.progress()
        return RunState(run.name, RUNNING, None, "", "", now.to_embed, now.embedded, now.failed)
    report = ended.report
    if report is None:
        return RunState(run.name, ended.status, None, ended.error, ended.cause)
    to_embed = report.embedded + report.failed + report.missing
    return RunState(
        run.name, ended.status, report.started, ended.error, ended.cause, to_embed, report.embedded, report.failed
    )
