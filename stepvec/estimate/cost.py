"""The AWS resources that a run uses and their cost. An unknown price makes the total "unknown", never too low."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from stepvec.estimate.capacity import Capacity
from stepvec.estimate.prices import Prices
from stepvec.estimate.request_counts import HTTP_LOG_BYTES, HTTP_SECONDS, lambda_gb_seconds
from stepvec.runs.reports import HTTP_SERVICE, INDEX_SERVICE, RunCost

UNKNOWN: Final = "unknown"

HOURS_OF_A_MONTH: Final = 730
"""As AWS's own price lists assume."""


@dataclass(frozen=True, slots=True)
class RunUsage:
    """The AWS resources that a run uses, planned or actual.

    vcpu_seconds: of jobs, from the start of the container to its end. start_vcpu_seconds: of instances before their
    first job and after their last. metric_hours: hours of each custom metric, added up. index_put_gb: put into an index
    of S3 Vectors, where there is one. http_requests: to the HTTP API, where there is one. None: unknown.
    """

    write_units: float
    read_units: float
    s3_gets: int
    s3_puts: int | None
    state_transitions: int
    lambda_requests: int
    lambda_gb_seconds: float
    vcpu_seconds: float | None
    start_vcpu_seconds: float
    log_gb: float
    metric_hours: float | None
    index_put_gb: float = 0.0
    http_requests: int | None = 0

    @property
    def vcpu_hours(self) -> float | None:
        """vCPU-hours that instances run; None if unknown."""
        return None if self.vcpu_seconds is None else (self.vcpu_seconds + self.start_vcpu_seconds) / 3600


def vcpu_hour_usd(capacity: Capacity, prices: Prices) -> float | None:
    """Price of a vCPU-hour: the deployment's own, else that of its most expensive family; None if unknown."""
    if capacity.vcpu_hour_usd:
        return capacity.vcpu_hour_usd
    return prices.vcpu_hour_spot(capacity.families) if capacity.spot else vcpu_hour_at_most(capacity, prices)


def vcpu_hour_at_most(capacity: Capacity, prices: Prices) -> float | None:
    """On-demand price of a vCPU-hour of the most expensive family; Spot never costs more. None if unknown.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances.html: the default maximum price is that.
    """
    return prices.vcpu_hour_on_demand(capacity.families)


def cost_of(usage: RunUsage, capacity: Capacity, prices: Prices, *, vcpu_usd: float | None) -> RunCost:
    """The cost of `usage` by service; `vcpu_usd` is the price of a vCPU-hour, None if unknown."""
    usd: dict[str, float | str] = {
        "batch": _amount((usage.vcpu_hours, vcpu_usd)),
        "addresses_and_disks": _amount((usage.vcpu_hours, _beside_a_vcpu_hour(capacity, prices))),
        "dynamodb": _amount(
            (usage.write_units, prices.each("dynamodb_write_unit")),
            (usage.read_units, prices.each("dynamodb_read_unit")),
        ),
        "s3": _amount((usage.s3_gets, prices.each("s3_get")), (usage.s3_puts, prices.each("s3_put"))),
        "step_functions": _amount((usage.state_transitions, prices.each("state_transition"))),
        "lambda": _amount(
            (usage.lambda_requests, prices.each("lambda_request")),
            (usage.lambda_gb_seconds, prices.each("lambda_gb_second")),
        ),
        "cloudwatch": _amount(
            (usage.log_gb, prices.each("log_gb")),
            (usage.metric_hours, _per_hour(prices.each("metric_month"))),
        ),
    }
    amounts = asdict(usage)
    if capacity.vector_index:
        usd[INDEX_SERVICE] = _amount((usage.index_put_gb, prices.each("s3_vectors_put_gb")))
    else:
        del amounts["index_put_gb"]
    if capacity.http_start:
        requests = usage.http_requests
        usd[HTTP_SERVICE] = _amount(
            (requests, prices.each("http_api_request")),
            (requests, prices.each("lambda_request")),
            (None if requests is None else lambda_gb_seconds(requests * HTTP_SECONDS), prices.each("lambda_gb_second")),
            (None if requests is None else requests * HTTP_LOG_BYTES / 1e9, prices.each("log_gb")),
        )
    else:
        del amounts["http_requests"]
    rounded = {name: UNKNOWN if amount is None else round(amount, 6) for name, amount in amounts.items()}
    return RunCost(usage=rounded, usd=usd, total_usd=total(usd), prices=prices.as_of)


def floor_usd(
    images: int, write_units: float, vcpu_seconds: float | None, prices: Prices, *, vcpu_usd: float | None
) -> float | str:
    """What embedding `images` costs if nothing but their GETs, their rows' writes and busy vCPUs is paid for."""
    return _amount(
        (images, prices.each("s3_get")),
        (write_units, prices.each("dynamodb_write_unit")),
        (None if vcpu_seconds is None else vcpu_seconds / 3600, vcpu_usd),
    )


def total(usd: Mapping[str, float | str]) -> float | str:
    """The sum, or "unknown" if any amount is unknown."""
    known = [amount for amount in usd.values() if isinstance(amount, (int, float))]
    return round(sum(known), 8) if len(known) == len(usd) else UNKNOWN


def _beside_a_vcpu_hour(capacity: Capacity, prices: Prices) -> float | None:
    """Cost of an instance's address and root volume per vCPU-hour, for the instance size in prices.json."""
    address, disk = prices.each("ipv4_hour"), prices.each("gp3_gb_month")
    vcpus = prices.instance_vcpus(capacity.families)
    if address is None or disk is None or vcpus is None:
        return None
    return (address + capacity.root_volume_gib * disk / HOURS_OF_A_MONTH) / vcpus


def _per_hour(usd_a_month: float | None) -> float | None:
    return None if usd_a_month is None else usd_a_month / HOURS_OF_A_MONTH


def _amount(*parts: tuple[float | None, float | None]) -> float | str:
    """Units times price, added up; "unknown" if any factor is, unless no units were used."""
    usd = 0.0
    for units, price in parts:
        if units is None or (price is None and units):
            return UNKNOWN
        usd += units * (price or 0.0)
    return round(usd, 8)
