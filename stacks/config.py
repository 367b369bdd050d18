"""The settings of a deployment: the `stepvec` object of cdk.json's context, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepvec import codec
from stepvec.errors import ConfigurationError, RecordError
from stepvec.item import vector_type
from stepvec.limits import MAP_CONCURRENCY
from stepvec.model import PREPROCESSINGS
from stepvec.records.run_input import SHARD_SIZE_MAXIMUM


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a deployment may choose.

    max_vcpus: vCPUs that Batch may start; one shard takes one. It scales to 0 between runs.
    max_concurrency: shards submitted at a time; 0 means twice max_vcpus, so that a freed vCPU never waits.
    shard_size: images of a shard, where an input does not say. 5,000 take a vCPU some two minutes.
    preprocessing: "standard-1", or "sample-1" for people who already have the original sample's vectors.
    vector_type: "float32" (3 write units an image), or "float16" (2).
    vcpu_hour_usd: what an hour of a vCPU costs you, for the report's cost; 0 means unknown.
    """

    max_vcpus: int = 64
    max_concurrency: int = 0
    shard_size: int = 5_000
    preprocessing: str = "standard-1"
    vector_type: str = "float32"
    vcpu_hour_usd: float = 0.0

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
    ):
        if not low <= getattr(config, name) <= high:
            raise ConfigurationError(
                f"{where}: {name} is {getattr(config, name)}.", remedy=f"Use a number from {low} to {high:,}."
            )
    if config.preprocessing not in PREPROCESSINGS:
        raise ConfigurationError(
            f"{where}: preprocessing is {config.preprocessing!r}.", remedy=f"Use one of {', '.join(PREPROCESSINGS)}."
        )
    return config
