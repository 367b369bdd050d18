"""How a plan, and a run compared with its plan, look in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from stepvec.estimate.plan import Plan
from stepvec.runs.reports import RunReport
from stepvec.runs.steps import summary_of_ignored

WIDTH: Final = 22
BOUNDS: Final = {
    "vcpus": "the vCPUs",
    "table_writes": "writes of a new table",
    "table_reads": "reads of a new table",
    "s3_gets": "GETs of one S3 prefix",
}


def plan_lines(plan: Plan) -> Iterator[str]:
    """The plan as lines of text."""
    units = f"{plan.write_units_an_image:g} write unit{'' if plan.write_units_an_image == 1 else 's'} an image"
    yield f"{plan.images:,} images, {plan.bytes / 1e9:,.1f} GB; shards: {plan.shards:,}, jobs at a time: {plan.jobs:,}"
    yield f"{plan.model}, {plan.engine} {plan.precision}, vectors as {plan.vector_type}: {units}"
    yield ""
    yield _line("Time", duration(plan.total_seconds))
    for step, seconds in plan.seconds.items():
        pace = f"   {number(plan.images_per_second)} images/s on {plan.vcpus:,} vCPUs" if step == "embed" else ""
        yield _line(f"  {step}", duration(seconds)) + pace
    yield "Bounds, images/s"
    for name, limit in plan.limits.items():
        yield _line(f"  {BOUNDS[name]}", number(limit)) + ("   <- bottleneck" if name == plan.bound_by else "")
    yield ""
    yield f"Cost, US dollars ({plan.cost.prices})"
    for service, usd in plan.cost.usd.items():
        yield _line(f"  {service}", dollars(usd))
    yield _line("  total", dollars(plan.cost.total_usd)) + f"   at most {dollars(plan.at_most_usd)}, all on demand"
    yield _line("  the rows, a month", dollars(plan.kept_usd_a_month))
    yield ""
    for note in plan.notes:
        yield f"- {note}"


def ignored_lines(ignored: Mapping[str, int]) -> Iterator[str]:
    """How many objects are no images by their suffix, the most frequent suffixes first; nothing if there are none."""
    if ignored:
        # ascii(): a suffix may hold what moves the cursor or turns the line around.
        yield f"Ignored by suffix: {sum(ignored.values()):,} ({ascii(summary_of_ignored(ignored))[1:-1]})"


def comparison_lines(report: RunReport) -> Iterator[str]:
    """The run's time and cost beside what its plan says; nothing for a report of an older version."""
    planned = report.planned
    if planned is None:
        return
    yield _line("", "planned", "actual")
    yield _line("time", duration(planned.seconds), duration(report.seconds))
    yield _line("images/s", number(planned.images_per_second), number(report.images_per_second))
    for service, usd in report.cost.usd.items():
        yield _line(f"{service}, $", dollars(planned.usd.get(service, "")), dollars(usd))
    yield _line("total, $", dollars(planned.total_usd), dollars(report.cost.total_usd))


def duration(seconds: float | str) -> str:
    """Seconds in the unit that suits them."""
    if isinstance(seconds, str):
        return seconds
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def dollars(usd: float | str) -> str:
    """An amount, to a hundredth of a cent."""
    return usd if isinstance(usd, str) else f"{usd:,.4f}"


def number(value: float | str) -> str:
    """A rate, without decimals where it is large."""
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _line(name: str, *values: str) -> str:
    return f"{name:<{WIDTH + 8}}" + "".join(f"{value:>12}" for value in values)
