"""What a run used of AWS, and what that costs. A price that is not known makes the total "unknown", never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepvec.records.reports import RunCost

UNKNOWN: Final = "unknown"

PRICES_AS_OF: Final = "us-east-1, November 2026"
USD_PER_WRITE_UNIT: Final = 0.625 / 1_000_000
"""DynamoDB on demand, since November 2024. https://aws.amazon.com/dynamodb/pricing/on-demand/"""
USD_PER_READ_UNIT: Final = 0.125 / 1_000_000
"""DynamoDB on demand, one strongly consistent read of up to 4 KB."""
USD_PER_STATE_TRANSITION: Final = 0.025 / 1_000
"""Standard workflows. https://aws.amazon.com/step-functions/pricing/"""
USD_PER_S3_GET: Final = 0.004 / 10_000
"""https://aws.amazon.com/s3/pricing/"""

PRICED: Final = ("batch", "dynamodb", "step_functions", "s3_gets")
"""The parts of a run's cost that may be known."""

TRANSITIONS_OF_A_RUN: Final = 12
"""States that an execution enters beside its rounds of listing and sharding, start and end included."""
TRANSITIONS_OF_A_SHARD: Final = 6
"""States that the child execution of one shard enters, start and end included."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run used. `vcpu_seconds` are of the workers at work: start and idle time of the instances come on top."""

    write_units: float
    read_units: float
    s3_gets: int
    shards: int
    vcpu_seconds: float

    @property
    def state_transitions(self) -> int:
        """Transitions of the execution and its children."""
        return TRANSITIONS_OF_A_RUN + self.shards * TRANSITIONS_OF_A_SHARD


def cost_of(usage: Usage, *, usd_per_vcpu_hour: float) -> RunCost:
    """The cost of `usage`; `usd_per_vcpu_hour` is 0 where it is not known (Spot prices change by the hour)."""
    usd: dict[str, float | str] = {
        "dynamodb": _usd(usage.write_units * USD_PER_WRITE_UNIT + usage.read_units * USD_PER_READ_UNIT),
        "step_functions": _usd(usage.state_transitions * USD_PER_STATE_TRANSITION),
        "s3_gets": _usd(usage.s3_gets * USD_PER_S3_GET),
        "batch": _usd(usage.vcpu_seconds / 3600 * usd_per_vcpu_hour) if usd_per_vcpu_hour else UNKNOWN,
        "lambda": UNKNOWN,
    }
    return RunCost(
        usage={
            "write_units": usage.write_units,
            "read_units": usage.read_units,
            "s3_gets": usage.s3_gets,
            "state_transitions": usage.state_transitions,
            "vcpu_seconds": round(usage.vcpu_seconds, 1),
        },
        usd=usd,
        total_usd=total(usd),
        prices=PRICES_AS_OF,
    )


def total(usd: Mapping[str, float | str]) -> float | str:
    """The sum, or "unknown" if one amount is unknown."""
    known = [amount for amount in usd.values() if isinstance(amount, (int, float))]
    return _usd(sum(known)) if len(known) == len(usd) else UNKNOWN


def _usd(amount: float) -> float:
    return round(amount, 8)
