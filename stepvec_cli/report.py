"""`stepvec report`: the result of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepvec.adapters.outputs import check_file, written
from stepvec.client.runs import Run
from stepvec.client.session import translate_aws_errors
from stepvec.client.timeline import timeline
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import print_json
from stepvec_cli.console import answers, tell
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, RunName
from stepvec_cli.views.plan import comparison_lines
from stepvec_cli.views.run import print_report

if TYPE_CHECKING:
    from stepvec.client.deployment import Deployment
    from stepvec.runs.reports import RunReport

SHARDS_DRAWN: Final = 1_000
"""Shards whose reports the page reads at most: a GET each."""


def report(
    run: RunName,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page: throughput, failures, cost.")] = None,
    failures: Annotated[bool, typer.Option("--failures", help="Print the failed images, a line of JSON each.")] = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Print a run's report.

    Examples:
        stepvec report my-run
        stepvec report my-run --failures
        stepvec report my-run --html report.html
        stepvec report my-run --json | jq .embedded
    """
    if html is not None:
        check_file(html, remedy="Give another place with --html.")
    deployment = deployed(data_stack, pipeline_stack)
    found = Run(deployment, run)
    with translate_aws_errors():
        done = found.report()
        if html is not None:
            _write_page(html, deployment, found, done)
        if failures:
            typer.echo(found.failures().decode(), nl=False)
        elif as_json:
            print_json(done)
        else:
            print_report(done, answers)
            typer.echo("\n".join(comparison_lines(done)))


def _write_page(path: Path, deployment: Deployment, run: Run, done: RunReport) -> None:
    from stepvec.client.failure_samples import failure_samples
    from stepvec_cli.views.report_page import page

    speed = timeline(run.shard_reports(done.shards, most=SHARDS_DRAWN))
    samples = failure_samples(deployment, run.failure_records())
    text = page(done, speed, samples, is_partial=done.shards > SHARDS_DRAWN)
    with written(path, remedy="Give another place with --html.") as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    tell(f"The run's page: {path}")
