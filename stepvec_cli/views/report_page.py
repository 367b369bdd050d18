"""A run's report as one page of HTML: throughput over time, failures by reason, cost planned and actual."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader

from stepvec.client.failure_samples import FailureSample
from stepvec.client.timeline import Timeline
from stepvec.page.files import palette
from stepvec.runs.reports import RunReport
from stepvec_cli.views.plan import dollars, duration, number

WIDTH: Final = 960
HEIGHT: Final = 180
"""Of the chart, in its own units: it is drawn as wide as the page."""


def page(
    report: RunReport, timeline: Timeline, samples: Mapping[str, Sequence[FailureSample]], *, is_partial: bool
) -> str:
    """The page. `samples` are by reason; `is_partial` says that `timeline` is of some of the shards only."""
    templates = Environment(loader=PackageLoader("stepvec_cli"), autoescape=True)
    templates.filters.update(dollars=dollars, duration=duration, number=number)
    fastest = max(timeline.rates, default=0.0)
    return templates.get_template("report.html").render(
        report=report,
        reasons=sorted(report.failed_by_reason.items(), key=lambda entry: -entry[1]),
        samples={reason: [_shown(sample) for sample in some] for reason, some in samples.items()},
        costs=_costs(report),
        area=_area(timeline.rates, fastest),
        fastest=fastest,
        chart_seconds=timeline.step_seconds * len(timeline.rates),
        is_partial=is_partial,
        width=WIDTH,
        height=HEIGHT,
        nonce=secrets.token_urlsafe(16),
        palette=palette(),
    )


def _shown(sample: FailureSample) -> dict[str, Any]:
    return {"key": sample.failure.key, "message": sample.failure.message, "image": sample.picture}


def _costs(report: RunReport) -> list[tuple[str, Any, Any]]:
    planned = report.planned.usd if report.planned else {}
    rows = [(service, planned.get(service), usd) for service, usd in report.cost.usd.items()]
    return [*rows, ("total", report.planned.total_usd if report.planned else None, report.cost.total_usd)]


def _area(rates: Sequence[float], fastest: float) -> str:
    """The points of a polygon under the curve of `rates`, as SVG takes them."""
    if not fastest:
        return ""
    step = WIDTH / len(rates)
    points = [(0.0, float(HEIGHT))]
    for position, rate in enumerate(rates):
        level = HEIGHT * (1 - rate / fastest)
        points += [(position * step, level), ((position + 1) * step, level)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in [*points, (float(WIDTH), float(HEIGHT))])
