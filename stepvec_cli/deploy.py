"""`stepvec deploy`: looks at what a deployment needs, then lets CDK deploy both stacks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import typer

from local_pipeline.installation import MODEL_DIRECTORY, project_config, run_cdk
from local_pipeline.prerequisites import FALLBACK_ARCHITECTURE
from stacks.config import PipelineConfig
from stepvec.client.doctor import Finding, Verdict
from stepvec.client.model_change import find_model_change
from stepvec.client.session import caller
from stepvec.errors import StepvecError
from stepvec.rows.model import ModelCard
from stepvec.weights.model_directory import read_model_card
from stepvec_cli.answers import DeployAnswer, print_json
from stepvec_cli.console import errors
from stepvec_cli.doctor import findings, told
from stepvec_cli.exit_codes import FAILED
from stepvec_cli.options import AsJson, Yes
from stepvec_cli.views.plan import dollars, duration


def deploy(
    yes: Yes = False,
    change_model: Annotated[
        bool, typer.Option("--change-model", help="Deploy another model than the deployed one.")
    ] = False,
    accept_efficientnet: Annotated[
        bool, typer.Option("--accept-efficientnet", help="Deploy EfficientNet-Lite0, with 1,280 numbers a vector.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the image and deploy both stacks.

    Looks at everything as `stepvec doctor` does first. Into the account and region of your AWS credentials. Stops
    where the model is another than the deployed one, since every row would then have to be embedded again, and
    where it is the one that setup falls back to.

    Examples:
        stepvec deploy
        stepvec deploy --profile work --region eu-central-1 --yes
        stepvec deploy --accept-efficientnet
    """
    config = project_config()
    model = _model_findings(config, change_model=change_model, accept_efficientnet=accept_efficientnet)
    found = tuple(told(chain(findings(), model), errors))
    if any(finding.verdict is Verdict.STOP for finding in found):
        errors.print("[bold red]Not deployed:[/] see what says stop above.")
        if as_json:
            print_json(DeployAnswer(deployed=False, account="", region="", findings=found))
        raise typer.Exit(FAILED)
    account, region = caller()
    errors.print(f"Deploying to account {account}, region {region}.")
    errors.print("Between runs you pay only for the storage of its buckets and its table.", style="dim")
    run_cdk("deploy", "--all", "--require-approval", "never" if yes else "broadening", region=region)
    if as_json:
        print_json(DeployAnswer(deployed=True, account=account, region=region, findings=found))
    errors.print("Next: put images into the bucket, then: stepvec run PREFIX --wait")


def _model_findings(config: PipelineConfig, *, change_model: bool, accept_efficientnet: bool) -> Iterator[Finding]:
    """What stands against deploying the model of this project."""
    try:
        card = read_model_card(MODEL_DIRECTORY)
    except StepvecError:
        return  # the doctor has said so
    if card.architecture == FALLBACK_ARCHITECTURE and not accept_efficientnet:
        message = "EfficientNet-Lite0, which setup falls back to, is deployed only on purpose."
        remedy = "Get ResNet18 with `stepvec weights --from FILE`, or add --accept-efficientnet."
        yield Finding("model", Verdict.STOP, message, remedy)
    try:
        yield from _change_findings(config, card, change_model=change_model)
    except StepvecError as error:
        yield Finding("deployed model", Verdict.WARNING, f"It cannot be asked: {error.message}", error.remedy)


def _change_findings(config: PipelineConfig, card: ModelCard, *, change_model: bool) -> Iterator[Finding]:
    model = card.identity(config.preprocessing, config.engine, config.precision)
    change = find_model_change(
        model, config.vector_type, config.capacity, data_stack=config.data_stack, pipeline_stack=config.pipeline_stack
    )
    if change is None:
        return
    message = (
        f"{change.deployed} would become {change.new}. Some {change.rows:,} rows would be embedded again when their "
        f"paths are run: about {duration(change.plan.total_seconds)} and ${dollars(change.plan.cost.total_usd)} "
        f"(at most ${dollars(change.plan.at_most_usd)}), for images of {change.image_kb} KB. Until then both are there."
    )
    verdict = Verdict.WARNING if change_model else Verdict.STOP
    yield Finding("deployed model", verdict, message, "" if change_model else "If that is meant: add --change-model.")
