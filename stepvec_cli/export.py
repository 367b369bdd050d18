"""`stepvec export`: writes the vectors of a deployed table to a Parquet file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from stepvec.client.deployment import find_deployment, find_settings
from stepvec.client.rows import rows_of_model, scan_rows
from stepvec.client.scope import EVERYTHING, scope_of
from stepvec.client.session import translate_aws_errors
from stepvec.errors import InvalidInputError
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.console import errors
from stepvec_cli.options import DataStack, PipelineStack


def export(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATHS]...", help="Only keys under these prefixes, or these keys.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The Parquet file to write.")] = Path("vectors.parquet"),
    model: Annotated[str | None, typer.Option(help="Only rows of this model; if left out, the deployed one.")] = None,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Write the table's vectors to a Parquet file.

    As float32, whatever type is stored. Reads the whole table: half a read unit for each 4 KB of it. Rows of other
    models are counted and left out.

    Examples:
        stepvec export --out vectors.parquet
        stepvec export photos/2026 --out new.parquet
    """
    # Imported here: pyarrow takes most of a second, and `--help` does not need it.
    from stepvec.client.parquet import write_rows

    deployment = find_deployment(data_stack, pipeline_stack)
    wanted = model or find_settings(pipeline_stack).model
    others: Counter[str] = Counter()
    with translate_aws_errors():
        scope = scope_of(deployment, paths) if paths else EVERYTHING
        count = write_rows(out, rows_of_model(scan_rows(deployment, scope), wanted, others))
    if others:
        told = ", ".join(f"{rows:,} of {name or 'no model'}" for name, rows in others.most_common())
        errors.print(f"Left out: {told}.", highlight=False, soft_wrap=True)
    if not count:
        raise InvalidInputError(
            f"The table has no rows of {wanted}{' under these paths' if paths else ''}.",
            remedy="Give another --model or other paths.",
        )
    typer.echo(f"{count:,} vectors of {wanted} in {out}")
