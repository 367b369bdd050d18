"""The prices of AWS that plans and reports are based on: one file, each price with its source and its date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for `per` units, with its source and the year and month it was read. None: unknown.

    secondary: read on a third party's page; `source` is AWS's own.
    """

    usd: float | None
    per: int
    unit: str
    source: str
    read: str
    secondary: bool
    note: str

    @property
    def each(self) -> float | None:
        """US dollars for one unit."""
        return None if self.usd is None else self.usd / self.per


@dataclass(frozen=True, slots=True)
class InstancePrices:
    """An instance type's prices an hour, and its vCPUs."""

    vcpus: int
    on_demand: Price
    spot: Price


@dataclass(frozen=True, slots=True)
class Prices:
    """What prices.json holds. `prices` by what is paid for, `instances` by type.

    `spot_example` is AWS's example of a Spot price, for documents that state it as an assumption: never for a total.
    """

    region: str
    prices: Mapping[str, Price]
    instances: Mapping[str, InstancePrices]
    spot_example: Price

    def each(self, name: str) -> float | None:
        """US dollars for one unit of `name`; None if unknown."""
        return self.prices[name].each

    @property
    def as_of(self) -> str:
        """Region and dates of the prices, for a report: "us-east-1, 2026-11"."""
        months = sorted({price.read for price in self.prices.values()})
        return f"{self.region}, {' to '.join(dict.fromkeys((months[0], months[-1])))}"

    def vcpu_hour_on_demand(self, families: tuple[str, ...]) -> float | None:
        """Highest on-demand price of a vCPU-hour among `families`; None if any of them is unknown."""
        return _dearest([self._of_family(family, is_spot=False) for family in families])

    def vcpu_hour_spot(self, families: tuple[str, ...]) -> float | None:
        """Highest Spot price of a vCPU-hour among `families`; None if any of them is unknown."""
        return _dearest([self._of_family(family, is_spot=True) for family in families])

    def instance_vcpus(self, families: tuple[str, ...]) -> int | None:
        """vCPUs of the smallest instance of `families` that has a price here; None if one has none here."""
        known = {name: instance.vcpus for name, instance in self.instances.items() if _family(name) in families}
        if {_family(name) for name in known} != set(families):
            return None
        return min(known.values(), default=None)

    def _of_family(self, family: str, *, is_spot: bool) -> float | None:
        for name, instance in self.instances.items():
            if _family(name) == family:
                price = (instance.spot if is_spot else instance.on_demand).each
                return None if price is None else price / instance.vcpus
        return None


def _family(instance_type: str) -> str:
    return instance_type.partition(".")[0]


def _dearest(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return max(known) if known and len(known) == len(amounts) else None
