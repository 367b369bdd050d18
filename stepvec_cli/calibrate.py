"""`stepvec calibrate`: prepares a model for int8, with photos of its user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local_pipeline.bare_environment import bare_environment
from local_pipeline.installation import WORKER_PYTHON, check_installation, project_config
from local_pipeline.photos import collect_photos
from stepvec import codec
from stepvec.adapters.outputs import check_folder
from stepvec.errors import ConfigurationError, InvalidInputError, WeightsError
from stepvec.rows.model import CALIBRATION_FILE, MODEL_FILE
from stepvec.runs.images import ONLY_IMAGES, SuffixRule
from stepvec.runs.layout import S3Uri
from stepvec.runs.run_input import prefixes_of
from stepvec.weights.model_directory import Calibration, read_model_card
from stepvec_cli.answers import CalibrateAnswer, print_json
from stepvec_cli.console import errors
from stepvec_cli.options import AsJson, Suffixes, suffix_rule
from stepvec_cli.weights import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from stepvec.adapters.object_store import ObjectStore

_DEFAULT_PHOTOS: Final = 300
_FEW_PHOTOS: Final = 200
"""Among fewer, neighbours change so seldom that too many layers seem good enough (seen with 40)."""
_MAX_PAGES: Final = 100
"""Pages of a bucket's listing that photos are taken from: 100,000 objects, some ten seconds."""


def calibrate(
    photos: Annotated[
        str,
        typer.Argument(
            metavar="DIRECTORY_OR_S3_URI",
            help="Photos like those that will be embedded; under an S3 prefix, from its first 100,000 objects.",
        ),
    ],
    model: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="The model, as `stepvec weights` made it.")
    ] = DEFAULT_DIRECTORY,
    images: Annotated[int, typer.Option(min=32, help="Photos to use, spread over all of them.")] = _DEFAULT_PHOTOS,
    suffixes: Suffixes = None,
    as_json: AsJson = False,
) -> None:
    """Find which layers may compute in int8.

    Once for a model, some minutes on this machine. Writes int8.json beside the weights and names it in model.json.
    A deployment then takes engine openvino with precision int8. Layers are added as long as the photos' vectors
    stay close to those in float32: a mean cosine of at least 0.99, and the same nearest neighbour for 97 % of the
    photos. An encoder of your own is refused where no layer keeps to that, or int8 is not faster.

    Examples:
        stepvec calibrate ~/Pictures
        stepvec calibrate s3://my-images/photos --images 500
    """
    from stepvec.weights.make import add_calibration  # numpy takes a while to import

    check_installation()
    read_model_card(model)
    check_folder(model, (CALIBRATION_FILE, MODEL_FILE), remedy="Give a copy of it with --model.")
    with _local_photos(photos, images, suffix_rule(suffixes, project_config().suffix_rule)) as paths:
        calibration = _calibrated(model, paths)
    card = add_calibration(model, calibration)
    errors.print(
        f"[green]Calibrated[/] {card.architecture} on {calibration.photos} photos: {len(calibration.layers)} "
        f"layers in int8, mean cosine {calibration.cosine:.4f}, same neighbour {calibration.same_neighbour:.1%}",
        highlight=False,
    )
    if as_json:
        answer = CalibrateAnswer(
            str(model), card.architecture, calibration.photos, len(calibration.layers), calibration.cosine,
            calibration.same_neighbour,
        )  # fmt: skip
        print_json(answer)
    if calibration.photos < _FEW_PHOTOS:
        errors.print(
            f"[yellow]{calibration.photos} photos say little about neighbours:[/] use at least {_FEW_PHOTOS}.",
            highlight=False,
        )
    errors.print("Next: stepvec local run PHOTOS --engine openvino --precision int8", highlight=False)


@contextmanager
def _local_photos(where: str, images: int, suffixes: SuffixRule) -> Iterator[list[Path]]:
    """Paths of up to `images` photos of a folder, or of an s3:// prefix, downloaded for the time of the block."""
    if "://" not in where:
        yield spread(list(collect_photos([Path(where)], suffixes=suffixes).values()), images)
        return
    # boto3 takes half a second to import.
    from stepvec.adapters.clients import s3_client
    from stepvec.adapters.object_store import ObjectStore

    uri = S3Uri.parse(where)
    store = ObjectStore(s3_client(connections=2))
    found = list(photos_under(store, uri, suffixes))
    if not found:
        raise InvalidInputError(f"There are no photos under {where}.", remedy="Give another prefix.")
    with tempfile.TemporaryDirectory(prefix="stepvec-photos-") as folder:
        paths = []
        for number, key in enumerate(spread(found, images)):
            paths.append(Path(folder) / str(number))
            with store.open(S3Uri(uri.bucket, key)) as stream:
                paths[-1].write_bytes(stream.read())
        yield paths


def photos_under(
    store: ObjectStore, uri: S3Uri, suffixes: SuffixRule = ONLY_IMAGES, *, pages: int = _MAX_PAGES
) -> Iterator[str]:
    """Keys of the photos under a prefix, which means what it means in Paths: "images" is "images/"."""
    (prefix,) = prefixes_of([str(uri)], uri.bucket)
    for page in islice(store.list_pages(uri.bucket, prefix), pages):
        yield from (entry.key for entry in page.objects if not suffixes.ignored_as(entry.key, entry.size))


def spread(elements: Sequence[Any], count: int) -> list[Any]:
    """`count` of `elements` at equal distances, or all where there are fewer."""
    if len(elements) <= count:
        return list(elements)
    return [elements[number * len(elements) // count] for number in range(count)]


def _calibrated(model: Path, photos: Sequence[Path]) -> Calibration:
    # In the worker's environment: there are OpenVINO and the decoding that a job has.
    with _lines_to_stderr() as lines:
        result = subprocess.run(
            [str(WORKER_PYTHON), "-m", "stepvec_worker.int8.calibrate", "--model", str(model.resolve())],
            input=json.dumps([str(path.resolve()) for path in photos]),
            env=bare_environment(),
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
            check=False,
        )
    if result.returncode == 0:
        return codec.from_json(Calibration, result.stdout, where="the calibration")
    try:
        problem = json.loads(result.stdout)
    except ValueError as error:
        raise ConfigurationError(
            "The calibration stopped; its output is above.", remedy="Run `make setup` and try again."
        ) from error
    raise WeightsError(problem["message"], remedy=problem["remedy"])


@contextmanager
def _lines_to_stderr() -> Iterator[int]:
    """A pipe whose lines come to standard error at once: the process may write no file, which that may be."""
    reading, writing = os.pipe()

    def forward() -> None:
        with os.fdopen(reading, errors="backslashreplace") as lines:
            for line in lines:
                sys.stderr.write(line)

    thread = Thread(target=forward)
    thread.start()
    try:
        yield writing
    finally:
        os.close(writing)
        thread.join()
