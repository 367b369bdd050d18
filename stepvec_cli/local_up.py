"""`stepvec local up`: the embedded AWS with the pipeline deployed, until it is ended."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local_pipeline.cloud import local_aws_of
from stacks.config import settings_of
from stepvec.client.local_aws import DEFAULT_NAME, Registration, check_name
from stepvec_cli.console import errors
from stepvec_cli.detached import OPTION, start_detached
from stepvec_cli.local import CORES, EngineName, PrecisionName, Slots, cloud_with_spinner, engine_settings
from stepvec_cli.local_env import lines_for_shell
from stepvec_cli.triggers import check_triggers

if TYPE_CHECKING:
    from localaws import EmbeddedCloud

_DEFAULTS: Final = {"upload_trigger": False, "upload_window_seconds": 3, "schedule": "", "schedule_paths": []}
"""In the place of cdk.json's, which are for AWS; STEPVEC_SETTINGS and the options replace them."""


def up(
    slots: Slots = CORES,
    detach: Annotated[
        bool, typer.Option(OPTION, help="Run in the background, and return when it is up; `local down` ends it.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Its name, where several are to be up.")] = DEFAULT_NAME,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port that it listens on; 0 for any that is free.")
    ] = 0,
    upload_trigger: Annotated[bool, typer.Option("--upload-trigger", help="Embed uploads as they come.")] = False,
    upload_window: Annotated[
        int | None, typer.Option(min=1, max=300, help="Seconds for which uploads are gathered; 3 if left out.")
    ] = None,
    http_start: Annotated[bool, typer.Option("--http-start", help="Have the HTTP API that starts runs, too.")] = False,
    schedule: Annotated[str, typer.Option(metavar="EXPRESSION", help='For example "rate(1 minute)".')] = "",
    paths: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="What the scheduled runs embed.")] = None,
    engine: EngineName = None,
    precision: PrecisionName = None,
) -> None:
    """Start a local AWS with the pipeline deployed, and keep it running.

    Until Ctrl-C, or in the background. Stepvec's own commands find it by themselves where no other AWS is configured.
    Others, like the AWS CLI and boto3, find it with `stepvec local exec` and `stepvec local env`, or with the unset and
    export lines that it prints once it is ready.

    Examples:
        stepvec local up --detach
        stepvec local up --upload-trigger --upload-window 1 --port 4566
        stepvec local up --schedule "rate(1 minute)" --paths images > env.sh &
    """
    given = {
        "upload_trigger": upload_trigger,
        "upload_window_seconds": upload_window,
        "http_start": http_start,
        "schedule": schedule,
        "schedule_paths": paths,
        **engine_settings(engine, precision),
    }
    settings = {**_DEFAULTS, **settings_of(os.environ), **{name: value for name, value in given.items() if value}}
    check_triggers(settings, schedule=schedule, paths=paths, upload_window=upload_window)
    if detach:
        local = start_detached(sys.argv[1:], check_name(name))
        errors.print(f"Up: {local.name} at {local.endpoint_url}, process {local.pid}.", highlight=False)
        errors.print(
            "Next: stepvec run images --wait, or: stepvec local exec -- aws s3 ls. It ends with: stepvec local down",
            highlight=False,
            soft_wrap=True,
        )
        return
    of_shell = dict(os.environ)
    with Registration(name, of_shell) as registration, cloud_with_spinner(slots, settings, port=port) as cloud:
        local = local_aws_of(cloud, name)
        registration.publish(local)
        errors.print(f"Ready on {cloud.endpoint_url}. What is not local, and why (docs/local.md):")
        for reason, types in _not_local(cloud).items():
            errors.print(f"  {', '.join(sorted(types))}: {reason}", style="dim", highlight=False)
        for line in lines_for_shell(local, of_shell):
            typer.echo(line)
        errors.print("Press Ctrl-C to stop.")
        threading.Event().wait()


def _not_local(cloud: EmbeddedCloud) -> dict[str, set[str]]:
    reasons: dict[str, set[str]] = {}
    for entry in cloud.not_local:
        reasons.setdefault(entry.reason, set()).add(entry.resource_type)
    return reasons
