"""`stepvec outliers`: the images that are like no others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepvec_cli.options import AsJson


def outliers(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The export with its index, as `stepvec index` made it.")
    ] = Path("vectors"),
    top: Annotated[int, typer.Option(min=1, max=10_000, metavar="COUNT", help="Images to name.")] = 20,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page: each beside its nearest.")] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="The pictures' photos on this machine, instead of the bucket."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the images that are like no others.

    Ranked by the mean cosine to their five nearest, the loneliest first: screenshots among photos, blank or broken
    pictures, what was uploaded by mistake.

    Examples:
        stepvec outliers vectors
        stepvec outliers vectors --top 50 --html outliers.html
    """
    from local_pipeline.pictures import from_folders
    from stepvec.client.pictures import bucket_reader
    from stepvec.neighbours.index import Index
    from stepvec.neighbours.outliers import Outliers
    from stepvec.neighbours.outliers import outliers as find_outliers
    from stepvec_cli.answers import print_json
    from stepvec_cli.console import errors
    from stepvec_cli.text import printable
    from stepvec_cli.views.alike_page import Shown
    from stepvec_cli.views.picture_pages import checked_page, write_page

    target = checked_page("outliers", html, open_page=False)
    index = Index.open(folder)
    with errors.status("Comparing images") as status:
        found = find_outliers(index, top, report=status.update)
    if as_json:
        print_json(Outliers(index.model, len(index), tuple(found)))
    else:
        for one in found:
            typer.echo(f"{one.similarity:.4f}  {printable(one.key)}")
    if target:
        rows = [[Shown(one.key, f"{one.similarity:.4f}", first=True), Shown(one.nearest, "nearest")] for one in found]
        read = from_folders(photos) if photos else bucket_reader(index.manifest.bucket)
        title = f"{len(found)} of {len(index):,} images that are least like others"
        write_page(target, title, f"Mean cosine to the five nearest. Model {index.model}.", rows, read)
