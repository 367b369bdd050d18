"""The worker's report on a shard, VerifyShard's counts of it, and the report of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stepvec.runs.outcome import ImageFailure

PROGRESS_SECONDS: Final = 10.0
"""How often a worker writes how far it is."""
SERVICES: Final = ("batch", "addresses_and_disks", "dynamodb", "s3", "step_functions", "lambda", "cloudwatch")
"""The parts of a run's cost."""
INDEX_SERVICE: Final = "s3_vectors"
"""Another part, of deployments that put vectors into an index."""
HTTP_SERVICE: Final = "http_api"
"""Another part, of deployments whose runs may be started by HTTP."""
MISSING_NAMED: Final = 20
"""Missing keys that a verified shard, or a report, names."""
UNIFORM_NAMED: Final = 20
"""Keys of images of one colour that a shard's report, or a run's, names."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Seconds of work in each stage, added up over the threads that did it."""

    download: float
    decode: float
    embed: float
    write: float


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far a shard's worker is: images = embedded + unchanged + failed + those to come."""

    shard: int
    images: int
    embedded: int
    unchanged: int
    failed: int


@dataclass(frozen=True, slots=True)
class ShardReport:
    """Written last by the worker: images = embedded + unchanged + len(failures).

    `embedded` counts what this run wrote, in an earlier attempt at the shard too; `unchanged` what another run
    wrote since the shard was made. `write_units` is by DynamoDB's published rule, `read_units` what it said it charged.
    `peak_memory_mb` is the sum of each process's largest RSS: pages that they share are counted in each, so the
    container took less. `running` is what the engine really ran; `processes` embedded side by side, and
    `processes_lost` died and were replaced.
    """

    run: str
    shard: int
    images: int
    embedded: int
    unchanged: int
    failures: tuple[ImageFailure, ...]
    model: str
    vector_type: str
    attempt: int
    started: str
    seconds: float
    stages: StageSeconds
    downloaded_bytes: int
    write_units: float
    read_units: float
    peak_memory_mb: int
    host: str
    running: str = ""
    processes: int = 1
    processes_lost: int = 0
    uniform: int = field(default=0, metadata={"omit_default": True})
    """Of those embedded by the attempt that wrote this: images whose decoded pixels all have one colour."""
    uniform_sample: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    """A few of their keys."""
    index_puts: int = field(default=0, metadata={"omit_default": True})
    """PutVectors requests of the attempt that wrote this."""
    index_bytes: int = field(default=0, metadata={"omit_default": True})
    """Logical bytes that they put, by S3 Vectors' published rule."""


@dataclass(frozen=True, slots=True)
class VerifiedShard:
    """What VerifyShard counted of one shard.

    images = embedded + unchanged + failed + missing. `found` rows have the right ETag and Model; `wrong` rows are
    there with another; `missing_sample` names a few missing keys; `error` is what stopped the shard's job, or "".
    `failures` are those that the worker had reported by then, one an image: what it reports later counts no more.
    """

    run: str
    shard: int
    images: int
    embedded: int
    unchanged: int
    failed: int
    missing: int
    found: int
    wrong: int
    missing_sample: tuple[str, ...]
    read_units: float
    error: str
    failures: tuple[ImageFailure, ...]
    seconds: float = 0.0
    """That VerifyShard took, up to the writing of this record."""
    execution: str = ""
    """ARN of the shard's child execution; "" in records of older versions."""
    log: str = ""
    """Page of the log of the job that failed; "" if it did not, or wrote none."""
    indexed: int = field(default=0, metadata={"omit_default": True})
    """Of `found`: rows whose vector the index has, by key, with their ETag, Model and Created."""
    not_indexable: int = field(default=0, metadata={"omit_default": True})
    """Of `found`: rows whose vector is all zeros, which no index by cosine takes."""


@dataclass(frozen=True, slots=True)
class IncompleteShard:
    """A shard that somebody may want to look at: with what is missing, why, and the console's pages about it.

    `execution` is that of the shard's child execution, or of the run where the child is unknown; `log` is "" where the
    job wrote none.
    """

    shard: int
    images: int
    missing: int
    error: str
    execution: str
    log: str


@dataclass(frozen=True, slots=True)
class RunCost:
    """What the run used, and US dollars by service; `total_usd` is "unknown" if one of them is."""

    usage: Mapping[str, float | str]
    usd: Mapping[str, float | str]
    total_usd: float | str
    prices: str


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What a plan made at the end says about a run of as many images, to compare with what it took.

    `usd` is by service, as in RunCost.
    """

    images: int
    seconds: float | str
    images_per_second: float | str
    bound_by: str
    usd: Mapping[str, float | str]
    total_usd: float | str


@dataclass(frozen=True, slots=True)
class RunReport:
    """The run's result: listed = embedded + unchanged + failed + failed_before + missing.

    `found` counts rows in DynamoDB, by key, with the right ETag and Model: found = embedded + unchanged when nothing
    is missing. `missing_sample` names a few keys that have neither row nor failure.
    """

    run: str
    complete: bool
    message: str
    listed: int
    embedded: int
    unchanged: int
    failed: int
    missing: int
    found: int
    wrong: int
    duplicates: int
    ignored: int
    ignored_by_suffix: Mapping[str, int]
    failed_by_reason: Mapping[str, int]
    max_failures: int
    missing_sample: tuple[str, ...]
    shards: int
    shards_failed: int
    shard_errors: Mapping[str, str]
    model: str
    vector_type: str
    image_bucket: str
    table: str
    started: str
    finished: str
    seconds: float
    images_per_second: float
    stages: Mapping[str, float]
    bytes: int
    cost: RunCost
    input: Mapping[str, Any]
    planned: PlannedRun | None = None
    """None in reports of older versions."""
    incomplete_shards: tuple[IncompleteShard, ...] = ()
    """The first of those with missing images or a failed job; verified/ has all of them."""
    failed_before: int = 0
    """Images left out since an earlier run over the same paths could not embed them, for a reason that lasts."""
    failed_before_by_reason: Mapping[str, int] = field(default_factory=dict)
    uniform: int = 0
    """Of those embedded: images whose decoded pixels all have one colour, so that their vectors say nothing."""
    uniform_sample: tuple[str, ...] = ()
    """A few of their keys."""
    indexed: int | None = field(default=None, metadata={"omit_default": True})
    """Of `found`: rows whose vector the index of S3 Vectors has, by key, with their ETag, Model and Created. An image
    with a row whose vector is not there is missing. None where the deployment has no index."""
    not_indexable: int = field(default=0, metadata={"omit_default": True})
    """Of `found`: rows whose vector is all zeros, which no index by cosine takes."""
