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
    "job_starts": "starts of jobs",
    "index_vectors": "vectors of one index",
}


def plan_lines(plan: Plan) -> Iterator[str]:
    """The plan as lines of text: what is known first, in one sentence and then in detail; what is not known last."""
    units = f"{plan.write_units_an_image:g} write unit{'' if plan.write_units_an_image == 1 else 's'} an image"
    yield f"{plan.images:,} images, {plan.bytes / 1e9:,.1f} GB: {headline(plan)}"
    yield ""
    yield f"{plan.model}, {plan.engine} {plan.precision}, vectors as {plan.vector_type}: {units}"
    yield f"Shards: {plan.shards:,}, jobs at a time: {plan.jobs:,}"
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
        if not isinstance(usd, str):
            yield _line(f"  {service}", dollars(usd))
    if not isinstance(plan.cost.total_usd, str):
        yield _line("  total", dollars(plan.cost.total_usd))
    yield _line("  at most", dollars(plan.at_most_usd)) + "   all instances on demand"
    if not isinstance(plan.floor_usd, str):
        yield _line("  floor", dollars(plan.floor_usd)) + "   GETs, writes and busy vCPUs alone"
    yield _line("  the rows, a month", dollars(plan.kept_usd_a_month))
    yield ""
    unknown = [service for service, usd in plan.cost.usd.items() if isinstance(usd, str)]
    about_unknown = [note for note in plan.notes if "not known" in note or "unknown" in note]
    for note in plan.notes:
        if note not in about_unknown:
            yield f"- {note}"
    if unknown or about_unknown:
        yield ""
        yield f"Not known{': ' if unknown else ''}{', '.join(unknown)}"
    for note in about_unknown:
        yield f"- {note}"


def headline(plan: Plan) -> str:
    """What the plan knows of cost and time, in one sentence."""
    cost, time = _cost(plan), _time(plan)
    if cost and time:
        return f"{cost}, {time}."
    if cost or time:
        return f"{cost or time}; the {'time' if cost else 'cost'} is not known."
    return "neither cost nor time is known."


def _time(plan: Plan) -> str:
    waiting = plan.seconds.get("start", 0.0)
    if isinstance(plan.total_seconds, str) or isinstance(waiting, str):
        return ""
    until = f" ({duration(waiting)} until they do)" if waiting else ""
    return f"{duration(plan.total_seconds - waiting)} once instances run{until}"


def _cost(plan: Plan) -> str:
    total, most = plan.cost.total_usd, plan.at_most_usd
    if isinstance(total, str):
        return "" if isinstance(most, str) else f"at most {money(most)}"
    return money(total) if isinstance(most, str) or most <= total else f"{money(total)} (at most {money(most)})"


def money(usd: float) -> str:
    """An amount with its sign: to a hundredth of a cent where it is less than a dollar."""
    return f"${usd:,.4f}" if usd < 1 else f"${usd:,.2f}"


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
