"""Many photos through the whole pipeline under faults of mixed kinds: nothing lost, memory flat, no slower at the end.

    python -m resilience.soak [--images 20000] [--seed N] [--record]

Ends with one line, and with exit code 1 if anything in it is not as it must be. --record writes docs/reliability.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from local_pipeline.installation import synthesize
from resilience.faults.catalogue import KINDS
from resilience.faults.injector import Ledger
from resilience.faults.pipeline import open_pipeline
from resilience.faults.results import DEFAULT_SEED, show
from resilience.faults.scenario import Result, Scenario, run_scenario
from testkit.photos import small_photos
from testkit.processes import SERVER, Samples, sampled
from testkit.tables import DOCS, markdown_table, write_section

IMAGES: Final = 20_000
COMPARED: Final = 2_000
"""Photos whose vectors are compared with those of a run without faults; the others' rows are decoded and counted."""
FAULT_SHARE: Final = 0.02
SHARDS: Final = 4
MIXED: Final = (
    "dynamodb-unprocessed", "dynamodb-throughput", "dynamodb-throttling", "dynamodb-500", "dynamodb-answer-lost",
    "s3-slow-down", "s3-500", "s3-reset", "s3-truncated", "s3-slow-body", "s3-deleted", "s3-overwritten", "s3-denied",
    "batch-throttled", "lambda-service-error", "lambda-twice",
)  # fmt: skip
MAX_GROWTH: Final = 1.10
MAX_SLOWDOWN: Final = 1.10


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it."""

    images: int
    compared: int
    seconds: float
    result: Result
    samples: Samples
    ledger: Ledger


def main() -> None:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES, help="how many photos")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the photos and the faults")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/reliability.md")
    options = parser.parse_args()
    soaked = soak(options.images, options.seed)
    show("soak", soaked.result, sum(soaked.ledger.injections.values()), soaked.seconds)
    table = table_of(soaked)
    print(table)
    if options.record:
        write_section("soak", table, DOCS / "reliability.md")
    line, is_good = verdict(soaked)
    print(f"seed {options.seed}\n{line}")
    sys.exit(0 if is_good else 1)


def soak(images: int, seed: int) -> Soaked:
    """One run of `images` photos under faults, and the one that completes it."""
    photos = {f"soak/{number:06d}.jpg": data for number, data in enumerate(small_photos(images, seed))}
    compared = {f"clean/{number:06d}.jpg": data for number, data in enumerate(islice(photos.values(), COMPARED))}
    with tempfile.TemporaryDirectory(prefix="stepvec-soak-") as folder:
        assembly = Path(folder)
        synthesize(assembly)
        with open_pipeline(assembly, seed) as pipeline:
            pipeline.embed_cleanly("clean", compared)
            pipeline.is_sample = True
            # Of the kinds that can hit one read of an image, so that all together hit the share that is wanted.
            rate = FAULT_SHARE / sum(name.startswith("s3-") for name in MIXED)
            scenario = Scenario("soak", [KINDS[name] for name in MIXED], images, SHARDS, rate=rate)
            start, before = time.monotonic(), pipeline.injector.rows_sent
            with sampled(lambda: pipeline.injector.rows_sent - before) as samples:
                result = run_scenario(
                    pipeline, scenario, seed=seed, pictures=len(compared), assembly=assembly, objects=photos
                )
            return Soaked(images, len(compared), time.monotonic() - start, result, samples, pipeline.ledger)


def table_of(soaked: Soaked) -> str:
    """The figures for docs/reliability.md."""
    result, samples = soaked.result, soaked.samples
    wall, cpu = samples.slowdown()
    peaks, growth = samples.peak(), samples.growth()
    rows = [
        ["photos", f"{soaked.images:,}"],
        ["of them compared, number by number, with a run without faults", f"{soaked.compared:,}"],
        ["injections", f"{sum(soaked.ledger.injections.values()):,} of {len(soaked.ledger.injections)} kinds"],
        ["lost / wrong / duplicated", f"{len(result.lost)} / {len(result.wrong)} / {len(result.duplicated)}"],
        ["minutes, uploads and reruns included", f"{soaked.seconds / 60:.1f}"],
        ["time per image, 70-90 % of the way over 10-30 %: wall", f"{wall:.2f}"],
        ["the same: the workers' CPU time", f"{cpu:.2f}"],
    ]
    for name in sorted(peaks):
        ratio = f", end over start {growth[name]:.2f}" if name in growth else ", too short-lived to say more"
        note = " (it holds what is stored)" if name == SERVER else ""
        rows.append([f"memory of {name}{note}", f"{peaks[name] / 1e6:.0f} MB at the most{ratio}"])
    return markdown_table(["soak", ""], rows)


def verdict(soaked: Soaked) -> tuple[str, bool]:
    """The line that ends the soak, and whether all is as it must be."""
    result = soaked.result
    growth = {name: ratio for name, ratio in soaked.samples.growth().items() if name != SERVER}
    wall, cpu = soaked.samples.slowdown()
    most = max(growth.values(), default=1.0)
    line = (
        f"{soaked.images:,} photos, {sum(soaked.ledger.injections.values()):,} injections, {len(result.lost)} lost, "
        f"{len(result.wrong)} wrong, {len(result.duplicated)} duplicated, memory x{most:.2f}, "
        f"time per image x{wall:.2f} wall, x{cpu:.2f} CPU"
    )
    is_right = not (result.lost or result.wrong or result.duplicated)
    is_long = any(name.startswith("worker") for name in growth)
    if not is_long:
        line += "; too short to say anything of the workers' memory"
    # CPU time: wall time on a machine that others use as well says more of them.
    return line, is_right and is_long and most <= MAX_GROWTH and cpu <= MAX_SLOWDOWN


if __name__ == "__main__":
    main()
