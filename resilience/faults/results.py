"""What came of the scenarios, for the terminal and for docs/reliability.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from resilience.faults.fault_kinds import Kind
from resilience.faults.injector import Ledger
from resilience.faults.scenario import Result
from testkit.tables import markdown_table

DEFAULT_SEED: Final = 20261125
LINES_SHOWN: Final = 10


def show(name: str, result: Result, injections: int, seconds: float) -> None:
    """Print a line for a scenario, and the first of what is wrong."""
    print(
        f"{name:24} {injections:5} injections, {result.runs} runs, {seconds:.0f} s, "
        f"{len(result.lost)} lost, {len(result.wrong)} wrong, {len(result.duplicated)} duplicated",
        flush=True,
    )
    for what, lines in (("lost", result.lost), ("wrong", result.wrong), ("duplicated", result.duplicated)):
        for line in lines[:LINES_SHOWN]:
            print(f"    {what}: {line}", flush=True)


def summary(results: Mapping[str, Result], ledger: Ledger) -> tuple[str, bool]:
    """The line that ends a run, and whether all is as it must be: nothing is wrong, and no kind was idle."""
    lost = sum(len(result.lost) for result in results.values())
    wrong = sum(len(result.wrong) for result in results.values())
    duplicated = sum(len(result.duplicated) for result in results.values())
    idle = [name for name in results if not ledger.injections[name]]
    line = (
        f"{len(results) - len(idle)} kinds, {sum(ledger.injections.values()):,} injections, "
        f"{lost} lost, {wrong} wrong, {duplicated} duplicated"
    )
    if idle:
        line += f"; injected nothing: {', '.join(idle)}"
    return line, not (lost or wrong or duplicated or idle)


def table_of(kinds: Sequence[Kind], results: Mapping[str, Result], ledger: Ledger, seed: int) -> str:
    """A line for each kind, with what repeats it."""
    rows = [
        [
            kind.label,
            f"{ledger.injections[kind.name]:,}",
            f"{len(ledger.images[kind.name]):,}",
            str(len(results[kind.name].lost)),
            str(len(results[kind.name].wrong)),
            str(len(results[kind.name].duplicated)),
            f"`KIND={kind.name} SEED={seed}`",
        ]
        for kind in kinds
    ]
    head = ["fault", "injected", "images affected", "lost", "wrong", "duplicated", "`make faults` with"]
    return markdown_table(head, rows)
