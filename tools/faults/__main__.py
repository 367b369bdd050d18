"""Injects every kind of fault into the pipeline on the embedded AWS, and proves that nothing is lost.

    python -m tools.faults [--seed N] [--kind NAME ...] [--record]

Ends with one line: `K kinds, N injections, 0 lost, 0 wrong, 0 duplicated`. The exit code is 1 if any of the last three
is not 0, or if a kind injected nothing. --record writes the table into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.report import DOCS, markdown_table, write_section
from stepvec.cli.installation import synthesize
from tools.faults.injector import Ledger
from tools.faults.kinds import KINDS, Kind
from tools.faults.pictures import picture
from tools.faults.scenario import Result, Scenario, run_scenario
from tools.faults.stage import open_stage

DEFAULT_SEED: Final = 20261125
LINES_SHOWN: Final = 10


def main() -> None:
    """Play a scenario for each kind, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="what is drawn: the same faults for the same seed")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the images: 0.1 for a quick look")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    options = parser.parse_args()
    kinds = [KINDS[name] for name in options.kind or KINDS]
    results, ledger = play(kinds, options.seed, options.scale)
    table = _table(kinds, results, ledger, options.seed)
    print(table)
    if options.record:
        write_section("faults", table, DOCS / "reliability.md")
    line, is_good = summary(results, ledger)
    print(f"seed {options.seed}\n{line}")
    sys.exit(0 if is_good else 1)


def play(kinds: list[Kind], seed: int, scale: float) -> tuple[dict[str, Result], Ledger]:
    """A scenario for each kind, one after the other on one embedded AWS."""
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(prefix="stepvec-faults-") as folder:
        assembly = Path(folder)
        synthesize(assembly)
        images = {kind.name: max(kind.shards, int(kind.images * scale)) for kind in kinds}
        pictures = max(images.values())
        with open_stage(assembly, seed) as stage:
            stage.embed_cleanly("clean", {f"clean/{number:05d}.jpg": picture(number) for number in range(pictures)})
            for kind in kinds:
                start = time.monotonic()
                scenario = Scenario(kind.name, [kind], images[kind.name], kind.shards)
                results[kind.name] = run_scenario(stage, scenario, seed=seed, pictures=pictures, assembly=assembly)
                _show(kind, results[kind.name], stage.ledger, time.monotonic() - start)
            return results, stage.ledger


def summary(results: dict[str, Result], ledger: Ledger) -> tuple[str, bool]:
    """The line that ends a run, and whether all is as it must be."""
    lost, wrong, duplicated = (
        sum(len(getattr(result, name)) for result in results.values()) for name in ("lost", "wrong", "duplicated")
    )
    idle = [name for name in results if not ledger.injections[name]]
    line = (
        f"{len(results) - len(idle)} kinds, {sum(ledger.injections.values()):,} injections, "
        f"{lost} lost, {wrong} wrong, {duplicated} duplicated"
    )
    if idle:
        line += f"; injected nothing: {', '.join(idle)}"
    return line, not (lost or wrong or duplicated or idle)


def _show(kind: Kind, result: Result, ledger: Ledger, seconds: float) -> None:
    print(
        f"{kind.name:24} {ledger.injections[kind.name]:5} injections, {result.runs} runs, {seconds:.0f} s, "
        f"{len(result.lost)} lost, {len(result.wrong)} wrong, {len(result.duplicated)} duplicated",
        flush=True,
    )
    for name in ("lost", "wrong", "duplicated"):
        for line in getattr(result, name)[:LINES_SHOWN]:
            print(f"    {name}: {line}", flush=True)


def _table(kinds: list[Kind], results: dict[str, Result], ledger: Ledger, seed: int) -> str:
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
    head = ["fault", "injected", "images affected", "lost", "wrong", "duplicated", "again: `make faults` with"]
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
