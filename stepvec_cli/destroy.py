"""`stepvec destroy`: deletes the pipeline's stack."""

from __future__ import annotations

from typing import Annotated

import typer

from local_pipeline.installation import run_cdk
from stepvec.client.session import caller
from stepvec.stack_names import PIPELINE_STACK
from stepvec_cli.console import errors
from stepvec_cli.options import Yes


def destroy(
    yes: Yes = False,
    pipeline_stack: Annotated[str, typer.Option(help="The stack to delete.")] = PIPELINE_STACK,
) -> None:
    """Delete the pipeline stack. Buckets and table, with all images and vectors, are kept."""
    _, region = caller()
    run_cdk("destroy", pipeline_stack, *(["--force"] if yes else []), region=region)
    errors.print("Kept: the data stack with its buckets and table. docs/deploy.md says how to remove them.")
