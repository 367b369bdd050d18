"""`python -m bench.memory`: the worker's memory, for short and long shards and for huge photos.

One vCPU, MXNet in float32. Memory must not grow with the shard's length, and must stay bounded with photos of 50
megapixels, JPEG and PNG.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.worker_run import WorkerSetup, listed_images, run_worker
from local_pipeline.installation import ROOT
from testkit.photos import make_huge_photos, make_tiny_photos
from testkit.processes import end_children_on_sigterm
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import running_storage
from testkit.storage.server import Latency
from testkit.tables import markdown_table, write_section

FOLDER: Final = ROOT / "build" / "bench"
SHORT_SHARD: Final = 100
LONG_SHARD: Final = 20_000


@dataclass(frozen=True, slots=True)
class Case:
    """A shard: what it is of, how many photos are made, and how many images they become."""

    name: str
    folder: str
    make: Callable[[Path, int], None]
    photos: int
    images: int


def cases(longest: int) -> list[Case]:
    """What is measured; the long shard has `longest` images."""
    return [
        Case(f"{SHORT_SHARD} photos of 32 x 32", "tiny", make_tiny_photos, SHORT_SHARD, SHORT_SHARD),
        Case(f"{longest:,} photos of 32 x 32", "tiny", make_tiny_photos, SHORT_SHARD, longest),
        # One JPEG and one PNG is what is made of each number.
        Case("16 photos of 8192 x 6144, JPEG and PNG", "huge", make_huge_photos, 1, 16),
    ]


def measure(case: Case) -> tuple[float, float]:
    """Peak of resident memory, and of the proportional set size, in MB."""
    photos = FOLDER / case.folder
    case.make(photos, case.photos)
    setup = WorkerSetup(FOLDER / "model", str(make_seeded_model(FOLDER / "model").identity("standard-1")), 1)
    copies = -(-case.images // len(list(photos.iterdir())))
    with running_storage(photos, copies=copies, latency=Latency()) as storage:
        usage = run_worker(storage, setup, listed_images(storage, case.images)).usage
    return usage.peak_mb, usage.shared_peak_mb


def main() -> None:
    """Measure, print, and write the table into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=int, default=LONG_SHARD, help="images of the long shard")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    end_children_on_sigterm()
    rows = []
    for case in cases(options.longest):
        peak, shared = measure(case)
        rows.append([case.name, f"{peak:.0f}", f"{shared:.0f}"])
        print(f"{case.name}: {peak:.0f} MB", flush=True)
    table = markdown_table(["shard", "peak RSS, MB", "PSS, MB"], rows)
    print(table)
    if not options.dry:
        write_section("memory", table)


if __name__ == "__main__":
    main()
