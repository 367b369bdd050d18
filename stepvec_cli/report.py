"""`stepvec report`: the result of a run."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stepvec.client.deployment import find_deployment
from stepvec.client.runs import Run
from stepvec.client.session import translate_aws_errors
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.options import DataStack, PipelineStack, RunName
from stepvec_cli.views.plan import comparison_lines
from stepvec_cli.views.run import print_report


def report(
    run: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report.json.")] = False,
    failures: Annotated[bool, typer.Option("--failures", help="Print the failed images, a line of JSON each.")] = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Print a run's report.

    Examples:
        stepvec report my-run
        stepvec report my-run --failures
        stepvec report my-run --json | jq .embedded
    """
    found = Run(find_deployment(data_stack, pipeline_stack), run)
    with translate_aws_errors():
        done = found.report()
        if failures:
            typer.echo(found.failures().decode(), nl=False)
        elif as_json:
            typer.echo(json.dumps(json.loads(found.report_text()), indent=2, ensure_ascii=False))
        else:
            print_report(done)
            typer.echo("\n".join(comparison_lines(done)), err=True)
