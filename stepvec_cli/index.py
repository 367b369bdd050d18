"""`stepvec index`: makes the index of an export, or brings it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepvec_cli.options import AsJson


def index(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="The export, and incremental ones that came after it."),
    ],
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make it anew, whatever is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the index of an export, for search and duplicates.

    It lies in the folder _index of the first FOLDER. Once it is there, only what is new, embedded again or no longer
    in the exports is touched. Of an image in several exports the newest row counts. Below 100,000 vectors a search
    compares all of them; from there on an approximate one finds 99 % or more of the 10 nearest, as it is measured when
    the index is made (docs/search.md).

    Examples:
        stepvec index vectors
        stepvec index vectors vectors-since-monday
    """
    from stepvec.neighbours.building import update_index
    from stepvec.neighbours.index import Index
    from stepvec_cli.answers import print_json
    from stepvec_cli.console import errors

    with errors.status("Indexing") as status:
        changes = update_index(folders, rebuild=rebuild, report=status.update)
    if as_json:
        print_json(changes)
        return
    found = Index.open(folders[0])
    exact = "every search compares all" if found.recall == 1 else f"recall {found.recall:.3f} of the 10 nearest"
    typer.echo(
        f"{changes.rows:,} vectors of {found.model}: {changes.added:,} added, {changes.changed:,} embedded again, "
        f"{changes.removed:,} removed; {exact}"
    )
