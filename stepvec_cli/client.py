"""`stepvec run`, `status`, `report`, `cancel`: a deployed pipeline, or `stepvec local up`, from the command line."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from stepvec.client.deployment import RUNNING, SUCCEEDED, Progress, RunOfDeployment, list_runs
from stepvec.client.session import explained, find_deployment
from stepvec.errors import InvalidInputError
from stepvec.runs.images import ImageIdScheme
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.views.plan import comparison_lines
from stepvec_cli.views.run import print_end, print_report, progress_line, progress_note

RUNS_SHOWN: Final = 10

DataStack = Annotated[str, typer.Option(help="Stack of the buckets and the table.")]
PipelineStack = Annotated[str, typer.Option(help="Stack of the state machine.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The execution's name, as `stepvec status` lists it.")]


def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATHS]...", help="Prefixes in the image bucket.")
    ] = None,
    manifest: Annotated[str | None, typer.Option(help="Instead of paths: S3 URI of a list of keys.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the run ends; exit code 1 if it fails.")] = False,
    name: Annotated[str | None, typer.Option(help="The run's name; one is made up otherwise.")] = None,
    image_id: Annotated[ImageIdScheme, typer.Option(help="What a row's id is.")] = "key",
    shard_size: Annotated[int | None, typer.Option(min=1, help="Images of a shard at the most.")] = None,
    reembed: Annotated[bool, typer.Option("--reembed", help="Embed again what is stored.")] = False,
    max_failures: Annotated[int, typer.Option(min=0, help="Images that may fail for the run to succeed.")] = 0,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Start a run on the deployed pipeline. Prints the run's name."""
    if bool(paths) == bool(manifest):
        raise typer.BadParameter("Give prefixes, or --manifest.")
    run_input: dict[str, Any] = {"Manifest": manifest} if manifest else {"Paths": paths}
    run_input |= {"ImageId": image_id, "MaxFailures": max_failures, "Reembed": reembed}
    if shard_size is not None:
        run_input["ShardSize"] = shard_size
    started = RunOfDeployment(
        find_deployment(data_stack, pipeline_stack), name or datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S-%f")
    )
    with explained():
        started.start(run_input)
    typer.echo(started.name)
    if wait:
        wait_for(started)


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; without it the newest ones.")] = None,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Say how the newest runs stand, or how far one is."""
    deployment = find_deployment(data_stack, pipeline_stack)
    with explained():
        if run is None:
            runs = list_runs(deployment, RUNS_SHOWN)
            if not runs:
                typer.echo("No run yet. Start one with: stepvec run PREFIX")
            for name, state, start in runs:
                typer.echo(f"{start:%Y-%m-%d %H:%M:%S}  {state:<10} {name}")
            return
        found = RunOfDeployment(deployment, run)
        ended = found.ended()
        if ended is not None:
            print_end(ended)
        else:
            progress = found.progress()
            typer.echo(f"{RUNNING}  {progress_note(progress.to_embed, progress)}")


def report(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report.json.")] = False,
    failures: Annotated[bool, typer.Option("--failures", help="One line of JSON an image that failed.")] = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Print a run's report."""
    found = RunOfDeployment(find_deployment(data_stack, pipeline_stack), run)
    with explained():
        ended = found.ended()
        if ended is None:
            raise InvalidInputError(f"The run {run} has not ended.", remedy=f"See how far it is: stepvec status {run}")
        if ended.report is None:
            raise InvalidInputError(
                f"The run {run} ended {ended.status} without a report: {ended.error} {ended.cause}",
                remedy="Correct what it names, and start it again.",
            )
        if failures:
            typer.echo(found.failures().decode(), nl=False)
        elif as_json:
            typer.echo(json.dumps(json.loads(found.report_text()), indent=2, ensure_ascii=False))
        else:
            print_report(ended.report)
            typer.echo("\n".join(comparison_lines(ended.report)), err=True)


def cancel(
    run: Run,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Stop a run and its jobs. What is stored stays; starting the same paths again does the rest."""
    found = RunOfDeployment(find_deployment(data_stack, pipeline_stack), run)
    with explained():
        if found.ended() is not None:
            raise InvalidInputError(f"The run {run} has ended already.", remedy="There is nothing to stop.")
        found.stop()
    typer.echo(f"stopped {run}")


def wait_for(run: RunOfDeployment) -> None:
    """Show how far `run` is until it ends, and how it ended. Raises typer.Exit with code 1 where it failed."""
    with progress_line() as line:
        task = line.add_task("embedding", total=None, note="listing")
        start = time.perf_counter()

        def show(progress: Progress) -> None:
            if progress.to_embed:
                note = progress_note(progress.to_embed, progress, time.perf_counter() - start)
                line.update(task, total=progress.to_embed, completed=progress.embedded + progress.failed, note=note)

        with explained():
            ended = run.wait(show)
    print_end(ended)
    if ended.status != SUCCEEDED:
        raise typer.Exit(1)
