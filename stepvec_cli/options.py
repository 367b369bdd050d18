"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stepvec.runs.images import SuffixRule

DataStack = Annotated[str, typer.Option(metavar="NAME", help="Name of the stack of the buckets and the table.")]
PipelineStack = Annotated[str, typer.Option(metavar="NAME", help="Name of the stack of the state machine.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, as `stepvec status` lists it.")]
Prefixes = Annotated[
    list[str] | None, typer.Argument(metavar="[PATHS]...", help="Prefixes in the image bucket; all of it if left out.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Suffixes = Annotated[
    list[str] | None,
    typer.Option(
        "--suffix",
        help="Take keys with this suffix for images, too, in the place of the deployment's own suffixes; "
        '"*" for all keys, "(none)" for those without one.',
    ),
]
LocalName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Which local AWS, where several are up.")]
AsJson = Annotated[bool, typer.Option("--json", help="The answer as JSON (docs/json.md), on standard output.")]

# What the table of commands gives to a command by itself (stepvec_cli/common.py).
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="The AWS profile to use, instead of AWS_PROFILE.")]
Region = Annotated[str | None, typer.Option(metavar="NAME", help="The AWS region to use, instead of AWS_REGION.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes: the answer and errors alone.")]


def suffix_rule(given: list[str] | None, deployed: SuffixRule) -> SuffixRule:
    """What the option says, or what was deployed where it was left out. Raises InvalidInputError."""
    from stepvec.runs.run_input import parse_suffixes

    return parse_suffixes(given) if given else deployed
