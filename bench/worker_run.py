"""The real worker, in every way that it can run, on the storage stand-in: `python -m stepvec_worker`."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import boto3

from bench.checks import check_rows
from bench.figures import BenchOutcome
from local_pipeline.installation import ROOT, WORKER_PYTHON
from localaws.batch.dockerfile import read_image
from stepvec.adapters.object_store import ObjectStore
from stepvec.rows.model import Engine, ModelCard, Precision
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import ShardImage, dump_shard
from stepvec.runs.run_input import RunInput
from testkit.processes import run_measured
from testkit.storage.client import IMAGE_BUCKET, TABLE, WORK_BUCKET, Storage

_RUN_NUMBERS: Final = itertools.count(1)
INPUT: Final = RunInput(
    image_bucket=IMAGE_BUCKET,
    prefixes=("photos/",),
    manifest=None,
    image_id="key",
    shard_size=50_000,
    reembed=False,
    max_failures=0,
)


_OPENVINO: Final[tuple[tuple[str, str, Precision], ...]] = (
    ("worker, OpenVINO float32", "openvino-f32", "float32"),
    ("worker, OpenVINO bf16", "bf16", "bf16"),
    ("worker, OpenVINO int8", "int8", "int8"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way: what a table calls it, and the model's name that makes the worker run it."""

    label: str
    precision: str
    model: str


def variants(card: ModelCard) -> Iterator[Variant]:
    """Every way that the model of `card` may have; whether the worker can run one here, trying tells."""
    yield Variant("worker, MXNet float32", "f32", str(card.identity("standard-1")))
    yield Variant("worker, MXNet float32, sample-1", "sample", str(card.identity("sample-1")))
    engine: Engine = "openvino"
    for label, short, precision in _OPENVINO:
        if precision != "int8" or card.int8 is not None:
            yield Variant(label, short, str(card.identity("standard-1", engine, precision)))


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Which model is run, on how many vCPUs, and what else the worker's environment gets."""

    model_directory: Path
    model: str
    vcpus: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerOutcome(BenchOutcome):
    """A run of the worker, and the rows that it stored."""

    rows: Mapping[str, Any] = field(default_factory=dict)


def worker_environment(storage: Storage) -> dict[str, str]:
    """What programs of the worker's environment need to find the modules and the stand-in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPVEC_"))}
    return environment | storage.environment | {"PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}"}


def memory_settings(tree: Path = ROOT) -> dict[str, str]:
    """What the worker's image in `tree` sets for the C library's allocator: it decides on memory, and on CPU."""
    image = read_image("worker", tree / "worker_image", "Dockerfile")
    return {name: value for name, value in image.environment if name.startswith("MALLOC_")}


def listed_images(storage: Storage, count: int) -> list[ShardImage]:
    """The first `count` images of the bucket. Raises ValueError where it has fewer."""
    pages = _store(storage).list_pages(IMAGE_BUCKET, "photos/")
    listed = islice(chain.from_iterable(page.objects for page in pages), count)
    images = [ShardImage(image.key, image.size, image.etag, image.key) for image in listed]
    if len(images) < count:
        raise ValueError(f"The bucket has {len(images)} images, not {count}.")
    return images


def worker_process(
    storage: Storage, setup: WorkerSetup, images: Sequence[ShardImage]
) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a worker that embeds `images`, whose shard is written."""
    layout = RunLayout(WORK_BUCKET, f"bench-{next(_RUN_NUMBERS)}")
    store = _store(storage)
    store.write(layout.input, json.dumps(INPUT.to_document()).encode())
    store.write(layout.shard(0), dump_shard(images))
    command = [str(WORKER_PYTHON), "-m", "stepvec_worker", "--shard", str(layout.shard(0))]
    environment = worker_environment(storage) | {
        **memory_settings(),
        "STEPVEC_IMAGE_BUCKET": IMAGE_BUCKET,
        "STEPVEC_TABLE": TABLE,
        "STEPVEC_MODEL": setup.model,
        "STEPVEC_MODEL_DIRECTORY": str(setup.model_directory),
        "STEPVEC_VCPUS": str(setup.vcpus),
        **setup.settings,
    }
    return command, environment


def run_worker(storage: Storage, setup: WorkerSetup, images: Sequence[ShardImage]) -> WorkerOutcome:
    """Embed `images` and check their rows. Raises WrongResultError, or RuntimeError where the worker fails."""
    command, environment = worker_process(storage, setup, images)
    storage.reset()
    usage = run_measured([command], environment, ROOT)
    counts, rows = storage.counts(), storage.rows()
    check_rows(rows, images, setup.model)
    return WorkerOutcome(len(images), counts.stored, usage, counts.cpu_seconds, rows)


def _store(storage: Storage) -> ObjectStore:
    client = boto3.client(
        "s3",
        endpoint_url=storage.endpoint,
        region_name=storage.environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=storage.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=storage.environment["AWS_SECRET_ACCESS_KEY"],
    )
    return ObjectStore(client)
