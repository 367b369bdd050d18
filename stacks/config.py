"""The settings of a deployment: the `stepvec` object of cdk.json's context, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepvec import codec
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError
from stepvec.item import vector_type
from stepvec.limits import MAP_CONCURRENCY, QUEUE_BATCH_WINDOW_SECONDS, SCHEDULE_WINDOW_MINUTES
from stepvec.model import PREPROCESSINGS
from stepvec.records.run_input import SHARD_SIZE_MAXIMUM, parse_run_input
from stepvec.schedules import parse_schedule


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a deployment may choose.

    max_vcpus: vCPUs that Batch may start; one shard takes one. It scales to 0 between runs.
    max_concurrency: shards submitted at a time; 0 means twice max_vcpus, so that a freed vCPU never waits.
    shard_size: images of a shard, where an input does not say. 5,000 take a vCPU some two minutes.
    preprocessing: "standard-1", or "sample-1" for people who already have the original sample's vectors.
    vector_type: "float32" (3 write units an image), or "float16" (2).
    vcpu_hour_usd: what an hour of a vCPU costs you, for the report's cost; 0 means unknown.

    What starts a run by itself (stacks/triggers.py):

    schedule: "rate(1 day)" or "cron(0 3 * * ? *)"; "" means none.
    schedule_timezone, schedule_paths: by whose clocks, and the Paths of its runs.
    schedule_window_minutes: a run may begin this much later; 0 means on time.
    upload_trigger: whether uploads to the image bucket are embedded as they come.
    upload_prefixes: only uploads under these prefixes; none means the whole bucket.
    upload_window_seconds: how long uploads are gathered for one run, 1 to 300.
    """

    max_vcpus: int = 64
    max_concurrency: int = 0
    shard_size: int = 5_000
    preprocessing: str = "standard-1"
    vector_type: str = "float32"
    vcpu_hour_usd: float = 0.0
    schedule: str = ""
    schedule_timezone: str = "UTC"
    schedule_paths: tuple[str, ...] = ()
    schedule_window_minutes: int = 0
    upload_trigger: bool = False
    upload_prefixes: tuple[str, ...] = ()
    upload_window_seconds: int = 60

    @property
    def map_concurrency(self) -> int:
        """Child executions of the Map at a time."""
        return self.max_concurrency or min(2 * self.max_vcpus, MAP_CONCURRENCY)


def read_config(settings: Mapping[str, Any]) -> PipelineConfig:
    """The configuration in `settings`. Raises ConfigurationError naming the setting that is wrong."""
    where = "The `stepvec` settings of cdk.json"
    try:
        config = codec.from_document(PipelineConfig, dict(settings), where=where)
    except RecordError as error:
        raise ConfigurationError(error.message, remedy="See stacks/config.py for what may be set.") from error
    vector_type(config.vector_type)
    for name, low, high in (
        ("max_vcpus", 1, 100_000),
        ("max_concurrency", 0, MAP_CONCURRENCY),
        ("shard_size", 1, SHARD_SIZE_MAXIMUM),
        ("vcpu_hour_usd", 0, 1_000),
        ("schedule_window_minutes", 0, SCHEDULE_WINDOW_MINUTES),
        ("upload_window_seconds", 1, QUEUE_BATCH_WINDOW_SECONDS),
    ):
        if not low <= getattr(config, name) <= high:
            raise ConfigurationError(
                f"{where}: {name} is {getattr(config, name)}.", remedy=f"Use a number from {low} to {high:,}."
            )
    if config.preprocessing not in PREPROCESSINGS:
        raise ConfigurationError(
            f"{where}: preprocessing is {config.preprocessing!r}.", remedy=f"Use one of {', '.join(PREPROCESSINGS)}."
        )
    check_triggers(config)
    return config


def check_triggers(config: PipelineConfig) -> None:
    """Raises ConfigurationError for a schedule or prefixes that AWS, or the first run, would refuse."""
    where = "The `stepvec` settings of cdk.json"
    if config.schedule and not config.schedule_paths:
        raise ConfigurationError(
            f"{where}: schedule_paths is empty.", remedy='Name prefixes: "schedule_paths": ["images"].'
        )
    try:
        if config.schedule:
            parse_schedule(config.schedule, config.schedule_timezone)
        for paths in (config.schedule_paths, config.upload_prefixes):
            prefixes_of(paths)
    except (ConfigurationError, InvalidInputError) as error:
        raise ConfigurationError(f"{where}: {error.message}", remedy=error.remedy) from error


def prefixes_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    """`paths` as an execution reads them: "images" is "images/", "/" is "". Raises InvalidInputError."""
    if not paths:
        return ()
    document = {"Paths": list(paths)}
    return parse_run_input(document, image_bucket="", work_bucket="", default_shard_size=1).prefixes
