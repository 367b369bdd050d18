"""`stepvec repair`: finishes what a run left undone."""

from __future__ import annotations

from typing import Annotated

import typer

from stepvec.adapters.executions import RUNNING
from stepvec.client.repair import start_repair
from stepvec.client.session import translate_aws_errors
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import RepairAnswer, RunAnswer, print_json
from stepvec_cli.console import errors
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, RunName
from stepvec_cli.views.run import exit_as, wait_for, watched


def repair(
    run: RunName,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the repair ends; exit code 1 if it fails.")] = False,
    max_failures: Annotated[
        int | None,
        typer.Option(min=0, help="Images that may fail again; if left out, as many as in the run."),
    ] = None,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Finish what a run left undone.

    Its missing images, and those that failed, are tried once more. Starts a run of just these, from a manifest in
    the work bucket, and prints its name. Starting the run's paths again does the same and more: it lists
    everything, so it also finds what is new or changed since, and it is the way where a run ended before its images
    were sharded. A repair lists nothing: for ten bad images of a million it takes seconds and costs next to
    nothing.

    Examples:
        stepvec repair my-run --wait
        stepvec repair my-run --max-failures 10
    """
    deployment = deployed(data_stack, pipeline_stack)
    with translate_aws_errors():
        repair = start_repair(deployment, run, max_failures=max_failures)
    if repair is None:
        errors.print(f"The run {run} left nothing undone.", highlight=False, markup=False)
        if as_json:
            print_json(RepairAnswer(run, 0, None))
        return
    errors.print(f"{repair.images:,} images of {repair.listed:,}", highlight=False)
    if not as_json:
        typer.echo(repair.run.name)
    with watched(repair.run):
        ended = wait_for(repair.run) if wait else None
    if as_json:
        answer = RunAnswer(repair.run.name, RUNNING) if ended is None else RunAnswer.of(ended)
        print_json(RepairAnswer(run, repair.images, answer))
    if ended is not None:
        exit_as(ended)
