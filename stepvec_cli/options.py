"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DataStack = Annotated[str, typer.Option(help="Name of the stack of the buckets and the table.")]
PipelineStack = Annotated[str, typer.Option(help="Name of the stack of the state machine.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, as `stepvec status` lists it.")]
Prefixes = Annotated[
    list[str] | None, typer.Argument(metavar="[PATHS]...", help="Prefixes in the image bucket; all of it if left out.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
