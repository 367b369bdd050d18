"""`stepvec view`: a page of all photos of a deployment, for as long as somebody looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.options import AsJson, DataStack, PipelineStack, Prefixes


def view(
    paths: Prefixes = None,
    exported: Annotated[
        Path | None,
        typer.Option("--index", metavar="FOLDER", help="An export with its index, read instead of the table."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="The run whose failures are shown; if left out, the newest.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port that it listens on; 0 for any that is free.")
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Serve a page of all photos to this machine: search, map, duplicates.

    Until Ctrl-C, on 127.0.0.1 alone, at an address that nobody else knows. Reads the table once, or with --index an
    export that `stepvec index` has indexed; at most 50,000 photos (docs/view.md). Pictures are read from the bucket as
    they come into sight. Nothing is written.

    Examples:
        stepvec view --open
        stepvec view images/2026 --run my-run
        stepvec view --index vectors
    """
    from collections import Counter

    from stepvec.client.pictures import PROCESSES
    from stepvec.client.scope import scope_of
    from stepvec.client.session import translate_aws_errors
    from stepvec.client.thumbnails import Thumbnails
    from stepvec.neighbours.temporary import temporary_index
    from stepvec.page.album import Album
    from stepvec.page.of_deployment import page_of, read_failures, read_indexed, read_rows
    from stepvec.page.server import PageServer
    from stepvec_cli.answers import ViewAnswer, print_json
    from stepvec_cli.browser import show
    from stepvec_cli.console import tell
    from stepvec_cli.deployment import deployed
    from stepvec_cli.progress import Steps

    left_out: Counter[str] = Counter()
    with PageServer(port) as server, Thumbnails(PROCESSES) as thumbnails:
        deployment = deployed(data_stack, pipeline_stack)
        with (
            Steps("Reading the index" if exported else "Reading the table", plain=False) as step,
            translate_aws_errors(),
        ):
            scope = scope_of(deployment, paths or [])
            failures = read_failures(deployment, scope, run)
            batches = (
                read_indexed(exported, deployment, scope) if exported else read_rows(deployment, scope, step, left_out)
            )
        with temporary_index(batches, deployment.model) as index:
            del batches
            with Steps("Drawing the map", plain=False):
                page = page_of(Album(index), failures, thumbnails, deployment, left_out)
            answer = ViewAnswer(server.address, len(page.album), len(failures.failures) + failures.more)
            if as_json:
                print_json(answer)
            else:
                typer.echo(server.address)
            tell(f"{answer.photos:,} photos at this address, for this machine alone. Press Ctrl-C to stop.")
            if open_page:
                show(server.address)
            server.serve(page)
