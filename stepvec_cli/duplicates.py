"""`stepvec duplicates`: groups of images that are the same or nearly so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepvec_cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stepvec.neighbours.groups import Duplicates, Sizes
    from stepvec.neighbours.index import Index

SHOWN: Final = 10
"""Groups that the terminal shows."""
SUFFIXES: Final = (".parquet", ".json", ".html")
_HEAD_THREADS: Final = 16


def duplicates(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The export with its index, as `stepvec index` made it.")
    ] = Path("vectors"),
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="COSINE", help="Lowest cosine; if left out, that of the model."),
    ] = None,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Ask S3 for the size of each image in a group, and keep the largest.")
    ] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write the groups: to a .parquet, .json or .html file, or several."),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="The pictures' photos on this machine, instead of the bucket."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find images that are the same or nearly so, and say which of each group to keep.

    Exact copies have one ETag; near ones have vectors whose cosine to the one that is kept is --threshold or more.
    Kept is the largest file, if --sizes asks for that, else the oldest, then the shortest key. Nothing is deleted. How
    many of which changes are found at which threshold, and how many others wrongly: docs/duplicates.md.

    Examples:
        stepvec duplicates vectors
        stepvec duplicates vectors --threshold 0.97 --out groups.parquet
        stepvec duplicates vectors --sizes --out groups.html --out groups.json
    """
    from stepvec.adapters.outputs import check_file, check_suffix
    from stepvec.neighbours.groups import Duplicates, duplicate_groups
    from stepvec.neighbours.index import Index
    from stepvec.neighbours.thresholds import default_threshold
    from stepvec_cli.answers import print_json
    from stepvec_cli.console import errors

    for path in out or []:
        check_suffix(path, SUFFIXES)
        check_file(path)
    index = Index.open(folder)
    if threshold is None:
        threshold = default_threshold(index.model)
    with errors.status("Comparing images") as status:
        groups = duplicate_groups(
            index, threshold, sizes=_sizes_in(index) if sizes else lambda _: {}, report=status.update
        )
    answer = Duplicates(index.model, threshold, len(index), tuple(groups))
    for path in out or []:
        _write(path, answer, index, photos)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _sizes_in(index: Index) -> Sizes:
    """Asks S3 for each size: a HEAD request an image. An object that is gone has none."""
    from concurrent.futures import ThreadPoolExecutor

    from stepvec.adapters.clients import s3_client
    from stepvec.adapters.object_store import ObjectStore
    from stepvec.client.session import translate_aws_errors

    store = ObjectStore(s3_client(connections=_HEAD_THREADS))

    def ask(keys: Sequence[str]) -> Mapping[str, int]:
        with translate_aws_errors(), ThreadPoolExecutor(_HEAD_THREADS, thread_name_prefix="head") as pool:
            found = pool.map(lambda key: store.head(index.manifest.bucket, key), keys)
            return {key: image.size for key, image in zip(keys, found, strict=True) if image is not None}

    return ask


def _write(path: Path, answer: Duplicates, index: Index, photos: list[Path] | None) -> None:
    from stepvec.adapters.outputs import written

    if path.suffix.lower() == ".html":
        _write_page(path, answer, index, photos)
        return
    with written(path) as unfinished:
        if path.suffix.lower() == ".json":
            from stepvec import codec

            unfinished.write_text(codec.to_json(answer), encoding="utf-8")
        else:
            from stepvec.neighbours.group_file import write_groups

            write_groups(unfinished, answer.groups, model=answer.model, threshold=answer.threshold)


def _write_page(path: Path, answer: Duplicates, index: Index, photos: list[Path] | None) -> None:
    from local_pipeline.pictures import from_folders
    from stepvec.client.pictures import bucket_reader
    from stepvec_cli.views.alike_page import Shown
    from stepvec_cli.views.picture_pages import write_page

    rows = [
        [Shown(one.key, f"{one.kind} {one.similarity:.4f}", first=one.kind == "kept") for one in group.members]
        for group in answer.groups
    ]
    read = from_folders(photos) if photos else bucket_reader(index.manifest.bucket)
    title = f"{len(answer.groups):,} groups of duplicates among {answer.images:,} images"
    write_page(path, title, f"Cosine {answer.threshold} or more to the one kept. Model {answer.model}.", rows, read)


def _print(answer: Duplicates) -> None:
    from stepvec_cli.text import printable

    copies = sum(len(group.members) - 1 for group in answer.groups)
    exact = sum(member.kind == "exact" for group in answer.groups for member in group.members)
    typer.echo(
        f"{copies:,} of {answer.images:,} images could go: {exact:,} exact copies and {copies - exact:,} near ones, "
        f"in {len(answer.groups):,} groups (cosine {answer.threshold:.2f} or more)"
    )
    for group in answer.groups[:SHOWN]:
        typer.echo("")
        for member in group.members:
            typer.echo(f"{member.kind:<5}  {member.similarity:.4f}  {printable(member.key)}")
    if len(answer.groups) > SHOWN:
        typer.echo(f"\n{len(answer.groups) - SHOWN:,} more groups: --out groups.html or --json has all of them.")
