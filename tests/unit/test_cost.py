"""Prices and what is made of them: dated, sourced, and unknown rather than too small."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from stacks.devices import DEVICES
from stepvec.adapters.figures import load_prices
from stepvec.estimate.capacity import Capacity
from stepvec.estimate.cost import UNKNOWN, RunUsage, cost_of, vcpu_hour_at_most, vcpu_hour_usd
from stepvec.estimate.prices import Price, Prices
from stepvec.runs.reports import SERVICES

CAPACITY = Capacity("cpu", 64, 1, ("c7i", "m7i"), 30, spot=True, shard_size=5_000, vcpu_hour_usd=0.0)
USAGE = RunUsage(
    write_units=1_000_000,
    read_units=2_000_000,
    s3_gets=1_000_000,
    s3_puts=10_000,
    state_transitions=2_000,
    lambda_requests=1_000_000,
    lambda_gb_seconds=1_000,
    vcpu_seconds=36_000,
    start_vcpu_seconds=3_600,
    log_gb=2,
    metric_hours=1_460,
)


def without(prices: Prices, name: str) -> Prices:
    unknown = dataclasses.replace(prices.prices[name], usd=None)
    return dataclasses.replace(prices, prices={**prices.prices, name: unknown})


def all_prices() -> list[tuple[str, Price]]:
    prices = load_prices()
    instances = [
        (f"{name} {kind}", price)
        for name, instance in prices.instances.items()
        for kind, price in (("on demand", instance.on_demand), ("Spot", instance.spot))
    ]
    return [*prices.prices.items(), *instances, ("example", prices.spot_example)]


@pytest.mark.parametrize(("name", "price"), all_prices())
def test_every_price_has_a_source_and_a_date(name: str, price: Price) -> None:
    assert price.source.startswith("https://")
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", price.read)
    assert price.per >= 1
    assert price.unit
    assert price.usd is None or price.usd > 0


def test_every_family_that_jobs_run_on_has_a_price_on_demand() -> None:
    for device in DEVICES.values():
        assert load_prices().vcpu_hour_on_demand(device.families), device.families


def test_cost_by_service_is_units_times_price() -> None:
    cost = cost_of(USAGE, CAPACITY, load_prices(), vcpu_usd=0.03)
    # By hand, from the prices of November 2026.
    assert cost.usd == pytest.approx(
        {
            "batch": 11 * 0.03,
            "addresses_and_disks": 11 * (0.005 + 30 * 0.08 / 730) / 8,
            "dynamodb": 0.625 + 2 * 0.125,
            "s3": 0.40 + 10 * 0.005,
            "step_functions": 2 * 0.025,
            "lambda": 0.20 + 1_000 * 0.0000133334,
            "cloudwatch": 2 * 0.50 + 2 * 0.30,
        },
        abs=1e-7,
    )
    assert tuple(cost.usd) == SERVICES
    assert cost.total_usd == pytest.approx(sum(float(usd) for usd in cost.usd.values()))
    assert cost.prices == "us-east-1, 2026-11"


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("dynamodb_write_unit", "dynamodb"),
        ("s3_put", "s3"),
        ("state_transition", "step_functions"),
        ("lambda_gb_second", "lambda"),
        ("metric_month", "cloudwatch"),
        ("ipv4_hour", "addresses_and_disks"),
    ],
)
def test_one_unknown_price_makes_its_service_and_the_total_unknown(name: str, service: str) -> None:
    cost = cost_of(USAGE, CAPACITY, without(load_prices(), name), vcpu_usd=0.03)
    assert [part for part, usd in cost.usd.items() if usd == UNKNOWN] == [service]
    assert cost.total_usd == UNKNOWN


@pytest.mark.parametrize(("field", "services"), [("vcpu_seconds", 2), ("s3_puts", 1), ("metric_hours", 1)])
def test_unknown_usage_makes_the_total_unknown(field: str, services: int) -> None:
    changes: dict[str, Any] = {field: None}
    cost = cost_of(dataclasses.replace(USAGE, **changes), CAPACITY, load_prices(), vcpu_usd=0.03)
    assert list(cost.usd.values()).count(UNKNOWN) == services
    assert cost.total_usd == cost.usage[field] == UNKNOWN


def test_what_is_not_used_needs_no_price() -> None:
    unused = dataclasses.replace(USAGE, log_gb=0)
    assert cost_of(unused, CAPACITY, without(load_prices(), "log_gb"), vcpu_usd=0.03).total_usd != UNKNOWN


def test_a_vcpu_hour_with_spot_is_unknown_unless_the_deployment_says_it() -> None:
    prices = load_prices()
    assert vcpu_hour_usd(CAPACITY, prices) is None
    assert vcpu_hour_usd(dataclasses.replace(CAPACITY, vcpu_hour_usd=0.02), prices) == 0.02


def test_a_vcpu_hour_on_demand_is_that_of_the_dearest_family() -> None:
    prices, on_demand = load_prices(), dataclasses.replace(CAPACITY, spot=False)
    assert vcpu_hour_usd(on_demand, prices) == pytest.approx(0.4032 / 8)
    assert vcpu_hour_usd(dataclasses.replace(on_demand, families=("c7i",)), prices) == pytest.approx(0.357 / 8)
    assert vcpu_hour_usd(dataclasses.replace(on_demand, families=("c7i", "x9")), prices) is None


@pytest.mark.parametrize("families", [("x9",), ("c7i", "x9")])
@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("own_price", [0.0, 0.03])
def test_a_family_without_a_price_makes_the_total_unknown(
    families: tuple[str, ...], spot: bool, own_price: float
) -> None:
    capacity = dataclasses.replace(CAPACITY, families=families, spot=spot, vcpu_hour_usd=own_price)
    prices = load_prices()
    # A price of one's own says nothing of the instances' size, among which an address and a disk are shared.
    cost = cost_of(USAGE, capacity, prices, vcpu_usd=vcpu_hour_usd(capacity, prices))
    assert cost.usd["addresses_and_disks"] == cost.total_usd == UNKNOWN
    assert vcpu_hour_at_most(capacity, prices) is None
