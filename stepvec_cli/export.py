"""`stepvec export`: the vectors of a deployed table as a Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from stepvec.client.deployment import scan_rows
from stepvec.client.session import explained, find_deployment, find_settings
from stepvec.errors import InvalidInputError
from stepvec.rows.item import VectorItem, decode_item
from stepvec.runs.run_input import prefixes_of
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.console import errors

Models = Counter[str]


def export(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATHS]...", help="Only keys under these.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The Parquet file to write.")] = Path("vectors.parquet"),
    model: Annotated[str | None, typer.Option(help="The rows' Model; the deployed one otherwise.")] = None,
    data_stack: Annotated[str, typer.Option(help="Stack of the buckets and the table.")] = DATA_STACK,
    pipeline_stack: Annotated[str, typer.Option(help="Stack of the state machine.")] = PIPELINE_STACK,
) -> None:
    """Write the table's vectors to a Parquet file, as float32 whatever type is stored.

    Reads the whole table: half a read unit for each 4 KB of it. Rows of other models are counted and left out.
    """
    # Imported here: pyarrow takes most of a second, and `--help` does not need it.
    from stepvec.client.parquet import write_rows

    deployment = find_deployment(data_stack, pipeline_stack)
    prefixes = prefixes_of(paths, deployment.image_bucket) if paths else ()
    wanted = model or find_settings(pipeline_stack).model
    others: Models = Counter()
    with explained():
        count = write_rows(out, rows_of_model(scan_rows(deployment, prefixes), wanted, others))
    if others:
        told = ", ".join(f"{rows:,} of {name or 'no model'}" for name, rows in others.most_common())
        errors.print(f"Left out: {told}.", highlight=False, soft_wrap=True)
    if not count:
        raise InvalidInputError(
            f"The table has no row of {wanted}{' under these paths' if paths else ''}.",
            remedy="Give another --model or other paths.",
        )
    typer.echo(f"{count:,} vectors of {wanted} in {out}")


def rows_of_model(items: Iterable[dict[str, Any]], model: str, others: Models) -> Iterator[VectorItem]:
    """The rows of `model` among `items`; those of others are counted in `others`, "" being the original sample's."""
    for item in items:
        name = item.get("Model", {}).get("S", "")
        if name == model:
            yield decode_item(item)
        else:
            others[name] += 1
