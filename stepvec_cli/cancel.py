"""`stepvec cancel`: stops a run."""

from __future__ import annotations

import typer

from stepvec.client.runs import Run
from stepvec.client.session import translate_aws_errors
from stepvec.errors import InvalidInputError
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import CancelAnswer, print_json
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, RunName


def cancel(
    run: RunName,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Stop a run and its jobs. What is stored stays.

    Start the same paths again to do the rest.

    Examples:
        stepvec cancel my-run
    """
    found = Run(deployed(data_stack, pipeline_stack), run)
    with translate_aws_errors():
        if found.ended() is not None:
            raise InvalidInputError(f"The run {run} has ended already.", remedy="There is nothing to stop.")
        found.stop()
    if as_json:
        print_json(CancelAnswer(run, "ABORTED"))
    else:
        typer.echo(f"stopped {run}")
