"""`stepvec destroy`: removes the pipeline, and with --data all that it stored."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from local_pipeline.installation import project_config
from stepvec.client.deployment import is_local
from stepvec.client.removal import (
    MAX_COUNTED,
    Stored,
    check_nothing_runs,
    delete_stack,
    delete_stored,
    exists,
    find_stored,
)
from stepvec.client.session import caller, new_client, translate_aws_errors
from stepvec.errors import InvalidInputError
from stepvec_cli.answers import DestroyAnswer, print_json
from stepvec_cli.console import errors
from stepvec_cli.options import AsJson, Yes
from stepvec_cli.progress import Steps


def destroy(
    yes: Yes = False,
    data: Annotated[bool, typer.Option("--data", help="Delete all images, vectors and reports as well.")] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="STACK", help="With --data, instead of typing the data stack's name.")
    ] = None,
    data_stack: Annotated[str | None, typer.Option(help="Stack of the buckets and the table; cdk.json's.")] = None,
    pipeline_stack: Annotated[str | None, typer.Option(help="Stack of the state machine; cdk.json's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Delete the pipeline stack; buckets and table are kept.

    So are all images and vectors, unless --data is given. With --data they are deleted too, whatever protects them,
    once you have typed the data stack's name: this cannot be undone. Buckets and a table of your own (the settings
    image_bucket and table) are never touched.

    Examples:
        stepvec destroy
        stepvec destroy --data --confirm StepvecData
    """
    with Steps("Asking AWS for the account", plain=False):
        account, region = caller()
    config = project_config()
    data_stack, pipeline_stack = data_stack or config.data_stack, pipeline_stack or config.pipeline_stack
    client = new_client()
    local = is_local(client)
    with translate_aws_errors():
        if not exists(client, data_stack if data else pipeline_stack) and not exists(client, pipeline_stack):
            raise InvalidInputError(
                f"Account {account} has no stack {pipeline_stack} in {region}.", remedy="See --pipeline-stack."
            )
        check_nothing_runs(client, pipeline_stack)
        stored = find_stored(client, data_stack) if data and exists(client, data_stack) else None
    _ask(f"account {account}, region {region}", pipeline_stack, data_stack, stored, confirm=confirm, yes=yes)
    gone = []
    with translate_aws_errors():
        if exists(client, pipeline_stack):
            gone.append(pipeline_stack)
            _say(f"Deleting the stack {pipeline_stack}")
            delete_stack(client, pipeline_stack, local=local)
        if stored is not None:
            gone.append(data_stack)
            delete_stored(client, data_stack, stored, _say, local=local)
    if as_json:
        print_json(DestroyAnswer(account, region, tuple(gone), data_kept=not data))
    _say("Nothing is left." if data else f"Kept: {data_stack}, with its buckets and table. --data removes them.")


def _ask(
    where: str, pipeline_stack: str, data_stack: str, stored: Stored | None, *, confirm: str | None, yes: bool
) -> None:
    """Have the deletion confirmed. Raises InvalidInputError where it is not."""
    if stored is None:
        if not yes and not typer.confirm(f"Delete {pipeline_stack} in {where}?", err=True):
            raise InvalidInputError("Nothing was deleted.", remedy="Answer y, or give --yes.")
        return
    errors.print(f"[bold red]This deletes for good[/], in {where}:", highlight=False)
    for name, count in stored.buckets.items():
        errors.print(f"  bucket {name}: {_about(count)} versions of objects", highlight=False, soft_wrap=True)
    for name, count in stored.tables.items():
        errors.print(f"  table {name}: {_about(count)} rows", highlight=False, soft_wrap=True)
    for name, count in stored.vector_buckets.items():
        told = f"  vector bucket {name.rpartition('/')[2]}: {_about(count)} vectors"
        errors.print(told, highlight=False, soft_wrap=True)
    for name in stored.keys:
        errors.print(f"  key {name}", highlight=False, soft_wrap=True)
    if confirm is None and sys.stdin.isatty():
        confirm = typer.prompt(f"Type {data_stack} to do so", err=True, default="", show_default=False)
    if confirm != data_stack:
        raise InvalidInputError("Nothing was deleted.", remedy=f"Type {data_stack}, or give --confirm {data_stack}.")


def _about(count: int) -> str:
    return f"{count:,}" if count <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"


def _say(step: str) -> None:
    errors.print(step, highlight=False, soft_wrap=True)
