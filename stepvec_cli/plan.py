"""`stepvec plan`: how long a run would take, and what it would cost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, replace
from decimal import Decimal
from typing import Annotated, Final

import typer

from local_pipeline.installation import MODEL_DIRECTORY, project_config
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import DeployedSettings, find_settings
from stepvec.client.planning import UNKNOWN_HASH, count_images, planned_model
from stepvec.client.session import translate_aws_errors
from stepvec.errors import WeightsError
from stepvec.estimate.plan import Workload, plan_run
from stepvec.limits import KEY_BYTES
from stepvec.rows.item import VectorType
from stepvec.rows.model import Architecture, Engine, Precision
from stepvec.runs.run_input import MAX_SHARD_SIZE, parse_run_input
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.answers import PlanAnswer, print_json
from stepvec_cli.deployment import deployed
from stepvec_cli.options import AsJson, DataStack, PipelineStack, Suffixes, suffix_rule
from stepvec_cli.progress import Steps
from stepvec_cli.views.plan import ignored_lines, plan_lines

DEFAULT_ARCHITECTURE: Final[Architecture] = "resnet18_v2"
MOST_IMAGES: Final = 10**12
"""A slip of the finger beyond it, not a plan."""


def _number_of_images(text: str) -> int:
    """A whole number, also as 1e9 or 1_000_000. Raises typer.BadParameter for anything else."""
    # What a test or a default gives is a number already.
    number = _whole(str(text))
    if number is None or not 0 <= number <= MOST_IMAGES:
        raise typer.BadParameter(f"{text!r} is not a number of images: write 1000000, or 1e6.")
    return number


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        pass
    if not re.fullmatch(r"\d{1,4}(\.\d{1,4})?[eE]\d{1,2}", text):
        return None
    number = Decimal(text)
    return int(number) if number == int(number) else None


def plan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATHS]...", help="Prefixes whose images are counted."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(parser=_number_of_images, metavar="N", help="Instead of paths; with cdk.json's settings. Or 1e9."),
    ] = None,
    image_kb: Annotated[float, typer.Option(min=0, help="With --images: mean size of an image.")] = 200,
    key_bytes: Annotated[int, typer.Option(min=1, max=KEY_BYTES, help="With --images: length of a key in bytes.")] = 60,
    vector: Annotated[VectorType | None, typer.Option("--vector-type", help="Instead of the deployment's.")] = None,
    architecture: Annotated[Architecture | None, typer.Option(help="Instead of the deployment's.")] = None,
    engine: Annotated[Engine | None, typer.Option(help="Instead of the deployment's.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="Instead of the deployment's.")] = None,
    max_vcpus: Annotated[int | None, typer.Option(min=1, help="Instead of the deployment's.")] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, max=MAX_SHARD_SIZE, help="Most images in a shard.")] = None,
    vcpu_hour_usd: Annotated[float | None, typer.Option(min=0, help="What a vCPU-hour costs you.")] = None,
    suffixes: Suffixes = None,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Estimate how long embedding takes and what it costs. Starts nothing.

    Of the images under PATHS, or of a number of images.

    Examples:
        stepvec plan photos
        stepvec plan --images 1000000
        stepvec plan --images 1e9 --vector-type int8 --json
    """
    if bool(paths) == (images is not None):
        raise typer.BadParameter("Give prefixes, or --images.")
    ignored: Counter[str] = Counter()
    if paths:
        settings = find_settings(pipeline_stack)
        workload = _count(paths, data_stack, pipeline_stack, suffixes, ignored)
    else:
        settings = _settings_of_project(architecture)
        workload = Workload(bytes=round((images or 0) * image_kb * 1000), key_bytes={key_bytes: images or 0})
    capacity = settings.capacity
    if max_vcpus is not None:
        capacity = replace(capacity, jobs=max(1, max_vcpus // capacity.vcpus_per_job))
    capacity = replace(
        capacity,
        shard_size=shard_size or capacity.shard_size,
        vcpu_hour_usd=capacity.vcpu_hour_usd if vcpu_hour_usd is None else vcpu_hour_usd,
    )
    made = plan_run(
        workload,
        planned_model(settings.model, architecture=architecture, engine=engine, precision=precision),
        vector or settings.vector_type,
        capacity,
        prices=load_prices(),
        throughput=load_throughput(),
    )
    if as_json:
        figures = {field.name: getattr(made, field.name) for field in fields(made)}
        print_json(PlanAnswer(**figures, ignored_by_suffix=dict(ignored)))
    else:
        typer.echo("\n".join([*plan_lines(made), *ignored_lines(ignored)]))


def _count(
    paths: list[str], data_stack: str, pipeline_stack: str, suffixes: list[str] | None, ignored: Counter[str]
) -> Workload:
    deployment = deployed(data_stack, pipeline_stack)
    wanted = parse_run_input(
        {"Paths": paths}, image_bucket=deployment.image_bucket, work_bucket="", default_shard_size=1
    )
    with translate_aws_errors(), Steps("Counting images", plain=False) as steps:
        return count_images(
            ObjectStore(deployment.client("s3")),
            deployment.image_bucket,
            wanted.prefixes,
            lambda count: steps(f"Counting images: {count:,}"),
            ignored,
            wanted.objects,
            suffix_rule(suffixes, deployment.suffixes),
        )


def _settings_of_project(architecture: Architecture | None) -> DeployedSettings:
    """What cdk.json and STEPVEC_SETTINGS would deploy, with the model of `make setup` where there is one."""
    config = project_config()
    try:
        model = str(read_model_card(MODEL_DIRECTORY).identity(config.preprocessing))
    except WeightsError:
        model = f"{architecture or DEFAULT_ARCHITECTURE}/{UNKNOWN_HASH}/{config.preprocessing}"
    # By name, since a plan for int8 needs no calibration yet.
    model = str(planned_model(model, architecture=None, engine=config.engine, precision=config.precision))
    return DeployedSettings(model, config.vector_type, config.capacity)
