"""Injects every kind of fault into the pipeline on the embedded AWS, and proves that nothing is lost.

    python -m resilience.faults [--seed N] [--kind NAME ...] [--scale 0.1] [--record]

Ends with one line: `K kinds, N injections, 0 lost, 0 wrong, 0 duplicated`. The exit code is 1 if any of the last three
is not 0, or if a kind injected nothing. --record writes the table into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from local_pipeline.installation import synthesize
from resilience.faults.catalogue import KINDS
from resilience.faults.fault_kinds import Kind
from resilience.faults.injector import Ledger
from resilience.faults.pipeline import open_pipeline
from resilience.faults.results import DEFAULT_SEED, show, summary, table_of
from resilience.faults.scenario import Result, Scenario, run_scenario
from testkit.photos import picture
from testkit.tables import DOCS, write_section


def main() -> None:
    """Play a scenario for each kind, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="what is drawn: the same seed, the same faults")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the images: 0.1 for a quick look")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    options = parser.parse_args()
    kinds = [KINDS[name] for name in options.kind or KINDS]
    results, ledger = play(kinds, options.seed, options.scale)
    table = table_of(kinds, results, ledger, options.seed)
    print(table)
    line, is_good = summary(results, ledger)
    if options.record:
        write_section("faults", f"{table}\n\n{line}", DOCS / "reliability.md")
    print(f"seed {options.seed}\n{line}")
    sys.exit(0 if is_good else 1)


def play(kinds: list[Kind], seed: int, scale: float) -> tuple[dict[str, Result], Ledger]:
    """A scenario for each kind, one after the other; those of the index on an embedded AWS of their own."""
    results: dict[str, Result] = {}
    images = {kind.name: max(kind.shards, int(kind.images * scale)) for kind in kinds}
    pictures = max(images.values())
    ledger = Ledger()
    for has_index in (False, True):
        some = [kind for kind in kinds if kind.has_index == has_index]
        if some:
            results |= _play_on_one(
                some, seed, images, pictures, ledger, {"vector_index": "s3vectors" if has_index else ""}
            )
    return results, ledger


def _play_on_one(
    kinds: list[Kind], seed: int, images: Mapping[str, int], pictures: int, ledger: Ledger, settings: dict[str, str]
) -> dict[str, Result]:
    """The kinds' scenarios on an embedded AWS with these settings."""
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(prefix="stepvec-faults-") as folder:
        assembly = Path(folder)
        synthesize(assembly, settings)
        with open_pipeline(assembly, seed, ledger=ledger) as pipeline:
            pipeline.embed_cleanly("clean", {f"clean/{number:05d}.jpg": picture(number) for number in range(pictures)})
            for kind in kinds:
                start = time.monotonic()
                scenario = Scenario(kind.name, [kind], images[kind.name], kind.shards)
                result = run_scenario(pipeline, scenario, seed=seed, pictures=pictures, assembly=assembly)
                results[kind.name] = result
                show(kind.name, result, pipeline.ledger.injections[kind.name], time.monotonic() - start)
    return results


if __name__ == "__main__":
    main()
