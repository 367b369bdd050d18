"""The picture of a CloudWatch dashboard's body: its widgets in their places, with given data points, by matplotlib."""

from __future__ import annotations

import ast
import io
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from PIL import Image

MINUTE: Final = 60
INTEGERS_FROM: Final = 3
"""An axis that goes up to this or more has whole numbers only."""
COLUMNS, UNIT_WIDTH, UNIT_HEIGHT, FOOT, DPI = 24, 58.4, 41.0, 34.0, 100
STATISTICS: Final[dict[str, Callable[[Any], Any]]] = {"Sum": np.sum, "Maximum": np.max}
OPERATORS: Final[dict[type, Callable[[Any, Any], Any]]] = {ast.Div: operator.truediv, ast.Sub: operator.sub}
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "FILL": lambda series, value: np.nan_to_num(series, nan=value),
    "PERIOD": lambda _: MINUTE,
    "RUNNING_SUM": np.cumsum,
}
Series = npt.NDArray[np.float64]


def identity(namespace: str, name: str, dimensions: dict[str, str]) -> str:
    """A metric's namespace, name and dimensions in one string."""
    return " ".join([namespace, name, *(f"{key}={value}" for key, value in sorted(dimensions.items()))])


def draw(recorded: dict[str, Any], picture: Path) -> None:
    """Write the picture of what was recorded: the dashboard's body, data points, and how each run ended."""
    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 7.5, "axes.edgecolor": "#aab", "axes.linewidth": 0.6})
    points = recorded["points"]
    widgets = _moved_up([widget for widget in recorded["body"]["widgets"] if _has_data(widget, points)])
    height = max(widget["y"] + widget["height"] for widget in widgets) * UNIT_HEIGHT + FOOT
    size = (COLUMNS * UNIT_WIDTH, height)
    first = min(point["time"] for point in points) // MINUTE * MINUTE - MINUTE
    minutes = int((max(point["time"] for point in points) - first) // MINUTE) + 2
    figure = pyplot.figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor="#eef0f3")
    for widget in widgets:
        corner = (widget["x"] * UNIT_WIDTH + 4, height - (widget["y"] + widget["height"]) * UNIT_HEIGHT + 4)
        extent = (widget["width"] * UNIT_WIDTH - 8, widget["height"] * UNIT_HEIGHT - 8)
        box = [corner[0] / size[0], corner[1] / size[1], extent[0] / size[0], extent[1] / size[1]]
        panel = figure.add_axes(box, facecolor="white", xticks=[], yticks=[])
        properties = widget["properties"]
        panel.text(0.03, 0.965, properties["title"], va="top", fontsize=9, weight="bold", color="#16191f")
        graph = panel.inset_axes((0.09, 0.31, 0.87, 0.54))
        _draw_graph(graph, properties, points, first, minutes)
    ends = recorded["runs"]
    day = datetime.fromtimestamp(first, UTC).strftime("%d %B %Y")
    foot = (
        f"The template's dashboard, drawn by matplotlib from what {len(ends)} runs on the embedded AWS "
        f"logged on {day}, in UTC: {ends.count('SUCCEEDED')} succeeded, {ends.count('FAILED')} failed."
    )
    figure.text(0.5, 12 / height, foot, ha="center", fontsize=9, color="#445")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    Image.open(buffer).convert("RGB").quantize(255, Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)


def _has_data(widget: dict[str, Any], points: list[Any]) -> bool:
    """Whether there is a value of one of the widget's metrics."""
    there = {point["metric"] for point in points}
    return any(_wanted(path) in there for *path, _ in widget["properties"].get("metrics", []) if path)


def _moved_up(widgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The widgets in their order and sizes, beside each other as far as they fit, without holes for those left out."""
    placed: list[dict[str, Any]] = []
    x = y = row_height = 0
    for widget in sorted(widgets, key=lambda widget: (widget["y"], widget["x"])):
        if x + widget["width"] > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        placed.append({**widget, "x": x, "y": y})
        x, row_height = x + widget["width"], max(row_height, widget["height"])
    return placed


def _wanted(path: list[str]) -> str:
    return identity(path[0], path[1], dict(zip(path[2::2], path[3::2], strict=True)))


def _draw_graph(graph: Any, properties: dict[str, Any], points: list[Any], first: float, minutes: int) -> None:
    by_id: dict[str, Series] = {}
    shown: list[tuple[str, Series | str]] = []
    for *path, options in properties["metrics"]:
        if path:
            series = _series(path, options, points, first, minutes)
            by_id[options.get("id", "")] = series
        if options.get("visible", True):
            shown.append((options["label"], series if path else options["expression"]))
    axis, bottom = np.arange(minutes), np.zeros(minutes)
    for label, what in shown:
        values = _evaluated(ast.parse(what, mode="eval").body, by_id) if isinstance(what, str) else what
        if not np.isfinite(values).any():
            continue
        if properties["stacked"]:
            graph.bar(axis, np.nan_to_num(values), 0.7, bottom=bottom, label=label)
            bottom += np.nan_to_num(values)
        else:
            graph.plot(axis, values, marker="o", markersize=3.5, linewidth=1.4, label=label)
    graph.set_ylim(bottom=0)
    graph.set_xlim(-0.5, minutes - 0.5)
    graph.set_xticks(axis, [datetime.fromtimestamp(first + MINUTE * n, UTC).strftime("%H:%M") for n in axis])
    graph.locator_params(axis="y", nbins=6, integer=graph.get_ylim()[1] >= INTEGERS_FROM)
    graph.set_axisbelow(True)
    graph.grid(axis="y", linewidth=0.5, color="#dde")
    graph.spines[["top", "right"]].set_visible(False)
    graph.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, handlelength=1, fontsize=7)


def _series(path: list[str], options: dict[str, Any], points: list[Any], first: float, minutes: int) -> Series:
    """One value a minute by the metric's statistic, NaN where there was no data point."""
    if options["period"] != MINUTE:
        raise ValueError(f"{path[1]} is not by the minute, which is all that is drawn here")
    wanted = _wanted(path)
    gathered: list[list[float]] = [[] for _ in range(minutes)]
    for point in points:
        if point["metric"] == wanted:
            gathered[int((point["time"] - first) // MINUTE)].append(point["value"])
    statistic = STATISTICS[options["stat"]]
    return np.array([statistic(values) if values else np.nan for values in gathered])


def _evaluated(node: ast.expr, series: dict[str, Series]) -> Any:
    """CloudWatch's metric math, as far as the dashboard uses it."""
    match node:
        case ast.BinOp(left, op, right):
            return OPERATORS[type(op)](_evaluated(left, series), _evaluated(right, series))
        case ast.Call(ast.Name(name), arguments):
            return FUNCTIONS[name](*(_evaluated(argument, series) for argument in arguments))
        case ast.Name(name):
            return series[name]
        case ast.Constant(value):
            return value
    raise ValueError(f"metric math that is not known here: {ast.dump(node)}")
