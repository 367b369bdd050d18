"""What a run is expected to take and to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stepvec.runs.reports import RunCost


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be embedded. `key_bytes` counts the images by the bytes of their key: a row's size depends on it."""

    bytes: int
    key_bytes: Mapping[int, int]

    @property
    def images(self) -> int:
        """How many they are."""
        return sum(self.key_bytes.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of `images` is expected to take; a figure that rests on an unknown one is "unknown".

    jobs: at a time, of `shards` in all. images_per_second: while jobs run, held by `bound_by`; `limits` has each
    bound. seconds: by step of the run, one after the other. at_most_usd: the total if every instance were on demand.
    kept_usd_a_month: what the rows cost while they are kept. notes: what the figures rest on, and what would help.
    """

    images: int
    bytes: int
    model: str
    engine: str
    precision: str
    vector_type: str
    shards: int
    jobs: int
    vcpus: int
    write_units_an_image: float
    images_per_second: float | str
    bound_by: str
    limits: Mapping[str, float | str]
    seconds: Mapping[str, float | str]
    total_seconds: float | str
    cost: RunCost
    at_most_usd: float | str
    kept_usd_a_month: float | str
    notes: tuple[str, ...]
