"""`stepvec local status`: the local AWS that are up."""

from __future__ import annotations

import os

import typer

from stepvec_cli.options import AsJson


def status(as_json: AsJson = False) -> None:
    """Say which local AWS are up.

    Examples:
        stepvec local status
        stepvec local status --json
    """
    from stepvec.client.local_aws import all_up
    from stepvec_cli.answers import LocalStatusAnswer, Up, print_json

    found = tuple(Up(each.name, each.endpoint_url, each.pid, each.started) for each in all_up(os.environ))
    if as_json:
        print_json(LocalStatusAnswer(found))
        return
    for each in found:
        typer.echo(f"{each.name}  {each.endpoint_url}  process {each.pid}  since {each.started}")
    if not found:
        typer.echo("No local AWS is up. Start one: stepvec local up --detach")
