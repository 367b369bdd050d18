"""`stepvec doctor`: whether this machine and this account are ready for a deployment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from local_pipeline.installation import CDK, project_config
from local_pipeline.prerequisites import examine_machine
from stepvec.client.doctor import Finding, Verdict, Wanted, examine_account
from stepvec_cli.answers import DoctorAnswer, print_json
from stepvec_cli.console import errors
from stepvec_cli.exit_codes import FAILED
from stepvec_cli.options import AsJson
from stepvec_cli.progress import Steps

_COLOURS: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.STOP: "bold red"}


def doctor(as_json: AsJson = False) -> None:
    """Look at everything that a deployment and a first run need.

    Credentials, region, CDK's bootstrap stack, quotas, instance families, availability zones, a bucket of your
    own, the builder of the image, the CDK command, the model: a line each, with what to do. Changes nothing, and costs
    nothing. Exit code 1 if something would stop them.

    Examples:
        stepvec doctor
        stepvec doctor --profile work --region eu-central-1
    """
    found = list(told(findings(), errors if as_json else Console()))
    stops = any(finding.verdict is Verdict.STOP for finding in found)
    if as_json:
        print_json(DoctorAnswer(stops, tuple(found)))
    if stops:
        raise typer.Exit(FAILED)


def findings() -> Iterator[Finding]:
    """Everything that the doctor finds, for the settings of this project."""
    config = project_config()
    wanted = Wanted(
        families=config.hardware.families,
        other_families=config.base_hardware.families + config.hardware.other_families,
        availability_zones=config.availability_zones,
        vcpus=config.max_vcpus,
        vcpus_per_job=config.hardware.vcpus,
        is_gpu=config.hardware.gpus > 0,
        is_spot=config.spot,
        image_bucket=config.image_bucket,
        upload_trigger=config.upload_trigger,
        pipeline_stack=config.pipeline_stack,
        bootstrap_command=f"npx {CDK} bootstrap",
    )
    return chain(examine_account(wanted), examine_machine())


def told(found: Iterable[Finding], console: Console) -> Iterator[Finding]:
    """The findings, each printed as it comes: a line, the remedy and a link below it."""
    with Steps("Looking at this machine and the account", plain=False):
        first = list(islice(found := iter(found), 1))
    for finding in chain(first, found):
        colour = _COLOURS[finding.verdict]
        line = f"[{colour}]{finding.verdict.value:<8}[/] {escape(finding.subject)}: {escape(finding.message)}"
        console.print(line, highlight=False, soft_wrap=True)
        for more in filter(None, (finding.remedy, finding.link)):
            console.print(f"         {escape(more)}", style="dim", highlight=False, soft_wrap=True)
        yield finding
