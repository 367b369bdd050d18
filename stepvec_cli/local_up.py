"""`stepvec local up`: the embedded AWS with the pipeline deployed, until it is ended."""

from __future__ import annotations

import os
import shlex
import threading
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local_pipeline.cloud import deployment_of
from stacks.config import settings_of
from stepvec.client.deployment import Deployment
from stepvec_cli.console import errors
from stepvec_cli.local import CORES, EngineName, PrecisionName, Slots, cloud_with_spinner, engine_settings

if TYPE_CHECKING:
    from localaws import EmbeddedCloud

_DEFAULTS: Final = {"upload_trigger": False, "upload_window_seconds": 3, "schedule": "", "schedule_paths": []}
"""In the place of cdk.json's, which are for AWS; STEPVEC_SETTINGS and the options replace them."""


def up(
    slots: Slots = CORES,
    upload_trigger: Annotated[bool, typer.Option("--upload-trigger", help="Embed uploads as they come.")] = False,
    upload_window: Annotated[
        int | None, typer.Option(min=1, max=300, help="Seconds for which uploads are gathered; 3 if left out.")
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="EXPRESSION", help='For example "rate(1 minute)".')] = "",
    paths: Annotated[list[str] | None, typer.Option(metavar="PREFIX", help="What the scheduled runs embed.")] = None,
    engine: EngineName = None,
    precision: PrecisionName = None,
) -> None:
    """Start the embedded AWS with the pipeline deployed, and keep it running.

    Until Ctrl-C. Prints `export NAME=value` lines once ready: with them the AWS CLI and boto3 work against it.

    Once it is ready, in the same shell: . ./env.sh; aws s3 ls

    Examples:
        stepvec local up > env.sh &
        stepvec local up --upload-trigger --upload-window 1 > env.sh &
        stepvec local up --schedule "rate(1 minute)" --paths images > env.sh &
    """
    given = {
        "upload_trigger": upload_trigger,
        "upload_window_seconds": upload_window,
        "schedule": schedule,
        "schedule_paths": paths,
        **engine_settings(engine, precision),
    }
    settings = {**_DEFAULTS, **settings_of(os.environ), **{name: value for name, value in given.items() if value}}
    with cloud_with_spinner(slots, settings) as cloud:
        deployment = deployment_of(cloud)
        errors.print(f"Ready on {cloud.endpoint_url}. What is not local, and why (docs/local.md):")
        for reason, types in _not_local(cloud).items():
            errors.print(f"  {', '.join(sorted(types))}: {reason}", style="dim", highlight=False)
        for name, value in _exports(cloud, deployment).items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        errors.print("Press Ctrl-C to stop.")
        threading.Event().wait()


def _exports(cloud: EmbeddedCloud, deployment: Deployment) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
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
