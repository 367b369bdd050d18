"""`python -m bench.change BASE`: this tree's worker against that of another commit, in turns, on the same photos.

Ends with one line: `images/s over BASE: float32 A.AA bf16 B.BB int8 C.CC`. Prints; writes nothing. A ratio of 1.00 says
that a change costs nothing. The photos are whole, so it is the path that most images take that is measured. Both embed
the same images; a round gives one ratio, its order is the last one's turned round, and what is told is the median of
the rounds, so that neither a machine that slows down nor the place in a round is taken for a change. Run it with
BASE=HEAD as well: how far that is from 1 is what the machine's noise is.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.checks import check_rows
from bench.figures import BenchOutcome, Contender, Figures, figures
from bench.worker import COPIES, FOLDER, PHOTOS, images_for
from bench.worker_run import (
    INPUT,
    WorkerSetup,
    listed_images,
    memory_settings,
    run_worker,
    variants,
    worker_process,
)
from local_pipeline.installation import ROOT, WORKER_PYTHON
from stepvec.runs.layout import parse_shard_uri
from testkit.photos import make_photos
from testkit.processes import end_children_on_sigterm, run_measured
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import Storage, running_storage
from testkit.storage.server import Latency

BASE: Final = FOLDER / "base"
SHORT: Final = {"f32": "float32", "bf16": "bf16", "int8": "int8"}
"""Precisions that are compared, by a variant's name for them."""


def checked_out(commit: str) -> Path:
    """The tree of `commit`, in a folder of its own."""
    shutil.rmtree(BASE, ignore_errors=True)
    command = ["git", "-C", str(ROOT), "archive", commit]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(BASE, filter="data")
    return BASE


def run_base(storage: Storage, setup: WorkerSetup, images: int, tree: Path) -> BenchOutcome:
    """As `run_worker`, with the modules of `tree`."""
    listed = listed_images(storage, images)
    command, environment = worker_process(storage, setup, listed)
    layout, _ = parse_shard_uri(command[-1])
    known = {name: value for name, value in INPUT.to_document().items() if name in _fields(tree)}
    storage.put(layout.bucket, layout.input.key, json.dumps(known).encode())
    storage.reset()
    theirs = {name: value for name, value in environment.items() if name not in memory_settings()}
    theirs |= memory_settings(tree) | {"PYTHONPATH": f"{tree}:{tree / 'worker_image'}"}
    usage = run_measured([command], theirs, tree)
    counts, rows = storage.counts(), storage.rows()
    check_rows(rows, listed, setup.model)
    return BenchOutcome(images, counts.stored, usage, counts.cpu_seconds)


def _fields(tree: Path) -> list[str]:
    """The fields that a run's input may have in `tree`: it refuses those that came later."""
    code = "import json; from stepvec.runs.run_input import FIELDS; print(json.dumps(list(FIELDS)))"
    command = [str(WORKER_PYTHON), "-c", code]
    answer = subprocess.run(command, check=True, capture_output=True, cwd=tree, env={"PYTHONPATH": str(tree)})
    fields: list[str] = json.loads(answer.stdout)
    return fields


@dataclass(frozen=True, slots=True)
class Change:
    """This tree's figures over the base's: one ratio a round, of images a second and of CPU an image."""

    rates: Sequence[float]
    cpu: Sequence[float]

    def __str__(self) -> str:
        rates, cpu = statistics.median(self.rates), statistics.median(self.cpu)
        return (
            f"images/s {rates:.3f} ({min(self.rates):.3f} to {max(self.rates):.3f}), "
            f"CPU an image {cpu:.3f} ({min(self.cpu):.3f} to {max(self.cpu):.3f}) of the base's"
        )


def compare(here: Contender, base: Contender, images: int, rounds: int) -> Change:
    """Both in turns on the first `images`, in one order and then in the other."""
    found: dict[str, list[Figures]] = {here.name: [], base.name: []}
    for number in range(rounds):
        for contender in (here, base) if number % 2 == 0 else (base, here):
            run = figures(contender.run(images))
            found[contender.name].append(run)
            print(
                f"round {number + 1}: {contender.name}: {run.images_per_second:.1f} images/s, "
                f"{run.cpu_ms:.1f} ms CPU an image, {run.peak_mb:.0f} MB",
                flush=True,
            )
    pairs = list(zip(found[here.name], found[base.name], strict=True))
    return Change(
        [ours.images_per_second / theirs.images_per_second for ours, theirs in pairs],
        [ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs],
    )


def main() -> None:
    """Measure and print."""
    end_children_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=6, help="an even number has both orders alike")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long a run should take")
    parser.add_argument("--vcpus", type=int, default=1)
    parser.add_argument("--precisions", nargs="+", choices=tuple(SHORT.values()), default=tuple(SHORT.values()))
    options = parser.parse_args()
    tree, photos, model = checked_out(options.base), FOLDER / "photos", FOLDER / "model"
    make_photos(photos, PHOTOS)
    card = make_seeded_model(model, calibrated_on=photos)
    ratios = []
    with running_storage(photos, copies=COPIES, latency=Latency()) as storage:
        for variant in variants(card):
            if SHORT.get(variant.precision) not in options.precisions:
                continue
            setup = WorkerSetup(model, variant.model, options.vcpus)
            here, base = Contender("this tree", _here(storage, setup)), Contender("base", _base(storage, setup, tree))
            # Both once, uncounted: the one that is faster may not decide, and each must have compiled its modules.
            images = max(images_for([here, base], options.seconds).values())
            change = compare(here, base, images, options.rounds)
            print(f"{variant.label}, {images} images: {change}", flush=True)
            ratios.append(f"{SHORT[variant.precision]} {statistics.median(change.rates):.2f}")
    print(f"images/s over {options.base}: {' '.join(ratios)}")


def _here(storage: Storage, setup: WorkerSetup) -> Callable[[int], BenchOutcome]:
    return lambda images: run_worker(storage, setup, listed_images(storage, images))


def _base(storage: Storage, setup: WorkerSetup, tree: Path) -> Callable[[int], BenchOutcome]:
    return lambda images: run_base(storage, setup, images, tree)


if __name__ == "__main__":
    main()
