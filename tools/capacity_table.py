"""The table of docs/cost.md that compares how a table of DynamoDB may be paid: on demand, warmed, provisioned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from stepvec.estimate.capacity import Capacity
from stepvec.estimate.cost import HOURS_OF_A_MONTH
from stepvec.estimate.plan import Plan
from stepvec.estimate.prices import Prices
from stepvec_cli.views.plan import BOUNDS, duration

PlanWith = Callable[[Capacity], Plan]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to pay for the table: units a second that it takes, jobs beside them. units None: on demand."""

    about: str
    capacity: Capacity
    provisioned: int | None = None


def capacity_lines(plan_with: PlanWith, capacity: Capacity, prices: Prices) -> Iterator[str]:
    """The table: the same million images with other capacities of the table, and as many vCPUs as suit them."""
    yield "| The table | vCPUs | Time | Held by | DynamoDB | Instances | **Total** | Left so, a month |"
    yield "|---|---|---|---|---|---|---|---|"
    for way in _ways(capacity):
        plan = plan_with(way.capacity)
        on_demand = float(plan.cost.usd["dynamodb"])
        hour = _hour_usd(way.provisioned, prices)
        paid = on_demand if hour is None else math.ceil(float(plan.total_seconds) / 3600) * hour
        instances = float(plan.cost.usd["batch"]) + float(plan.cost.usd["addresses_and_disks"])
        left = "nothing" if hour is None else f"${hour * HOURS_OF_A_MONTH:,.0f}"
        yield (
            f"| {way.about} | {plan.vcpus} | {duration(plan.total_seconds)} | {BOUNDS[plan.bound_by]} | ${paid:.3f} "
            f"| ${instances:.3f} | **${float(plan.cost.total_usd) - on_demand + paid:.2f}** | {left} |"
        )


_FULL: Final = 4_000
_HOURLY: Final = 400


def _ways(capacity: Capacity) -> Iterator[_Way]:
    yield _Way("new, on demand (A)", capacity)
    warmed = replace(capacity, table_write_units=5_000)
    yield _Way("on demand, warmed to 5,000 write units a second: **and what AWS charges for that once**", warmed)
    for units, jobs in ((_FULL, capacity.jobs), (_HOURLY, 6)):
        provisioned = replace(capacity, jobs=jobs, table_write_units=units, table_read_units=units)
        yield _Way(f"provisioned for whole hours: {units:,} write and {units:,} read units", provisioned, units)


def _hour_usd(units: int | None, prices: Prices) -> float | None:
    if units is None:
        return None
    return units * sum(prices.each(f"dynamodb_{kind}_capacity_hour") or 0.0 for kind in ("write", "read"))
