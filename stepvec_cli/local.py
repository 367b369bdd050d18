"""`stepvec local`: the pipeline on this machine, with no AWS account and no Docker."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from local_pipeline.cloud import deployment_of, embedded_cloud
from stepvec.client.deployment import SUCCEEDED, Deployment
from stepvec.rows.model import Engine, Precision
from stepvec_cli.console import errors
from stepvec_cli.views.run import RunLine, print_end, print_results

if TYPE_CHECKING:
    from localaws import EmbeddedCloud

CORES: Final = os.cpu_count() or 1

app = typer.Typer(help="The whole pipeline on this machine: no AWS account, no Docker.", no_args_is_help=True)

Slots = Annotated[int, typer.Option(min=1, help="Batch jobs at a time; one job keeps one core busy.")]
EngineName = Annotated[Engine | None, typer.Option(help="What computes the vectors. Without it: cdk.json's.")]
PrecisionName = Annotated[
    Precision | None, typer.Option(help="With openvino also bf16, or int8 once `stepvec calibrate` has run.")
]


@app.command()
def up(
    slots: Slots = CORES,
    upload_trigger: Annotated[bool, typer.Option("--upload-trigger", help="Embed each upload by itself.")] = False,
    upload_window: Annotated[int, typer.Option(min=1, max=300, help="Seconds that uploads are gathered for.")] = 3,
    schedule: Annotated[str, typer.Option(metavar="EXPRESSION", help='For example "rate(1 minute)".')] = "",
    paths: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="What the schedule embeds.")] = None,
    engine: EngineName = None,
    precision: PrecisionName = None,
) -> None:
    """Start the embedded AWS with the pipeline deployed, and stay until Ctrl-C.

    Prints `export NAME=value` lines once ready: with them the AWS CLI and boto3 work against it. For example:
    stepvec local up > env.sh &   then, once it is ready:   . ./env.sh; aws s3 ls
    """
    settings = {
        "upload_trigger": upload_trigger,
        "upload_window_seconds": upload_window,
        "schedule": schedule,
        "schedule_paths": paths or [],
        **_chosen(engine, precision),
    }
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with _cloud(slots, settings) as cloud:
        deployment = deployment_of(cloud)
        errors.print(f"Ready on {cloud.endpoint_url}. Not local, with reasons: docs/local.md")
        for reason, types in _not_local(cloud).items():
            errors.print(f"  {', '.join(sorted(types))}: {reason}", style="dim", highlight=False)
        for name, value in _exports(cloud, deployment).items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        errors.print("Ctrl-C ends it.")
        stop.wait()
    errors.print("Ended.")


@app.command()
def run(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTOS...", help="Photos, or folders of photos.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="DIRECTORY", help="Where the results go.")] = Path("stepvec-out"),
    max_failures: Annotated[int, typer.Option(min=0, help="Photos that may fail for the run to succeed.")] = 0,
    shard_size: Annotated[int | None, typer.Option(min=1, help="Photos of a shard at the most.")] = None,
    slots: Slots = CORES,
    engine: EngineName = None,
    precision: PrecisionName = None,
) -> None:
    """Embed photos once: upload them, run the state machine, write the results, and end.

    Writes report.json, vectors.parquet, failures.jsonl and gallery.html. Exit code 1 if the run is not complete.
    """
    # Imported here: pyarrow and numpy take most of a second, and `--help` needs neither.
    from local_pipeline.one_shot import run_once
    from local_pipeline.photos import collect_photos

    found = collect_photos(photos)
    options: dict[str, Any] = {"MaxFailures": max_failures}
    if shard_size is not None:
        options["ShardSize"] = shard_size
    with _cloud(slots, _chosen(engine, precision) or None) as cloud, RunLine(len(found)) as line:
        ended = run_once(deployment_of(cloud), found, options, out, name=_run_name(), watcher=line)
    print_end(ended)
    if ended.report is not None:
        print_results(out)
    if ended.status != SUCCEEDED:
        raise typer.Exit(1)


@contextmanager
def _cloud(slots: int, settings: Mapping[str, Any] | None = None) -> Iterator[EmbeddedCloud]:
    """The embedded AWS, with a spinner until it is there."""
    with ExitStack() as stack:
        with _spinner() as spinner:
            task = spinner.add_task("", total=None)
            cloud = stack.enter_context(
                embedded_cloud(slots, settings, lambda step: spinner.update(task, description=step))
            )
        yield cloud


def _exports(cloud: EmbeddedCloud, deployment: Deployment) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_DEFAULT_REGION": cloud.region,
        "STEPVEC_IMAGE_BUCKET": deployment.image_bucket,
        "STEPVEC_WORK_BUCKET": deployment.work_bucket,
        "STEPVEC_TABLE": deployment.table,
        "STEPVEC_STATE_MACHINE_ARN": deployment.state_machine_arn,
    }


def _not_local(cloud: EmbeddedCloud) -> dict[str, set[str]]:
    reasons: dict[str, set[str]] = {}
    for entry in cloud.not_local:
        reasons.setdefault(entry.reason, set()).add(entry.resource_type)
    return reasons


def _chosen(engine: Engine | None, precision: Precision | None) -> dict[str, str]:
    """Settings for what the command line says, none for what it leaves out."""
    return {name: value for name, value in (("engine", engine), ("precision", precision)) if value is not None}


def _run_name() -> str:
    return datetime.now(UTC).strftime("local-%Y%m%d-%H%M%S-%f")


def _spinner() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
