"""`stepvec run`: starts a run on the deployed pipeline, or on `stepvec local up`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from stepvec.client.http_start import RunByHttp
from stepvec.client.runs import Run
from stepvec.client.session import translate_aws_errors
from stepvec.runs.images import ImageIdScheme
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.answers import RunAnswer, print_json
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, Suffixes
from stepvec_cli.views.run import exit_as, wait_for, watched


def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATHS]...", help="Prefixes in the image bucket.")
    ] = None,
    manifest: Annotated[str | None, typer.Option(help="Instead of paths: the S3 URI of a list of keys.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run ends; exit code 1 if it fails.")] = False,
    name: Annotated[str | None, typer.Option(help="The run's name; if left out, one is made up.")] = None,
    image_id: Annotated[
        ImageIdScheme, typer.Option(help="A row's id: the image's whole key, or its file name.")
    ] = "key",
    shard_size: Annotated[int | None, typer.Option(min=1, help="Most images in a shard.")] = None,
    suffixes: Suffixes = None,
    retry_failures: Annotated[
        bool, typer.Option("--retry-failures", help="Try images again that failed for good in an earlier run.")
    ] = False,
    reembed: Annotated[bool, typer.Option("--reembed", help="Embed again what is stored already.")] = False,
    max_failures: Annotated[int, typer.Option(min=0, help="Images that may fail without failing the run.")] = 0,
    http: Annotated[
        bool, typer.Option("--http", help="By the deployment's HTTP API, with the name as its token.")
    ] = False,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Start a run on the deployed pipeline.

    Prints the run's name.

    Examples:
        stepvec run photos --wait
        stepvec run photos more-photos --name my-run --max-failures 10
        stepvec run / --suffix raw --suffix "(none)"
        stepvec run --manifest s3://my-images/keys.jsonl
        stepvec run photos --http --name nightly --wait
    """
    if bool(paths) == bool(manifest):
        raise typer.BadParameter("Give prefixes, or --manifest.")
    run_input: dict[str, Any] = {"Manifest": manifest} if manifest else {"Paths": paths}
    run_input |= {"ImageId": image_id, "MaxFailures": max_failures, "Reembed": reembed}
    if suffixes:
        run_input["Suffixes"] = suffixes
    if retry_failures:
        run_input["RetryFailures"] = True
    if shard_size is not None:
        run_input["ShardSize"] = shard_size
    deployment = deployed(data_stack, pipeline_stack)
    name = name or datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S-%f")
    by_states = Run(deployment, name)
    by_states.check_input(run_input)
    started = RunByHttp(deployment, name) if http else by_states
    with watched(started):
        with translate_aws_errors():
            status = started.start(run_input)
        if not as_json:
            typer.echo(started.name)
        ended = wait_for(started) if wait else None
    if as_json:
        print_json(RunAnswer(started.name, status) if ended is None else RunAnswer.of(ended))
    if ended is not None:
        exit_as(ended)
