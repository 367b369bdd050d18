"""`python -m bench.worker`: the worker against its peers, in turns; writes docs/performance.md.

The headline is the table and the line with latency, which is where users are; without it a line more. Both are
worker/one-at-a-time f32 A.A bf16 B.B int8 C.C | worker/dataloader D.D | worker/daft E.E | efficiency F.FF | rss_mb G
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from bench.checks import FloatArray, check_vectors
from bench.figures import BenchOutcome, Contender, Figures, figures, in_turns
from bench.limits import Limit, measure_limit, median_limit, slow_vectors
from bench.peer_runs import LoaderSetting, Photos, loader_settings, run_daft, run_loader, run_one_at_a_time
from bench.worker_run import Variant, WorkerSetup, listed_images, run_worker, variants
from bench.worker_tables import efficiency_table, final_line, speed_table
from local_pipeline.installation import ROOT
from testkit.photos import make_photos
from testkit.processes import end_children_on_sigterm
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import REALISTIC, Storage, running_storage
from testkit.storage.server import Latency
from testkit.tables import write_section

FOLDER: Final = ROOT / "build" / "bench"
PHOTOS: Final = 300
COPIES: Final = 40
"""Names that each photo has: 12,000 images, enough for half a minute of 400 images a second."""
CHECKED_VECTORS: Final = 50
PROBE_IMAGES: Final = 100
PROBE_RATE: Final = 40
"""Images a second that settings of the peers are tried with; the rate itself is what is looked for."""
BUSY_PERCENT: Final = 5.0
"""Of all cores, before the bench begins. The load average would count what has ended minutes ago, too."""
IDLE_SECONDS: Final = 3.0
"""How long the machine is watched for it."""
ONE_AT_A_TIME: Final = "one at a time"
DATALOADER: Final = "DataLoader, stores nothing"
DAFT: Final = "Daft, stores nothing"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run, and for how long."""

    vcpus: int
    seconds: float
    rounds: int
    is_quick: bool
    is_dry: bool
    model_directory: Path


class WorkerBench:
    """The contenders, and the checks of what the worker stored."""

    def __init__(self, plan: Plan, photos: Path) -> None:
        self._plan = plan
        self._photos = photos
        self._card = make_seeded_model(plan.model_directory, calibrated_on=None if plan.is_quick else photos)
        self._expected: dict[str, Mapping[str, FloatArray]] = {}
        self.variants = [variant for variant in variants(self._card) if self._can_run(variant)]

    def _can_run(self, variant: Variant) -> bool:
        """Whether the worker can run it; its vectors on the slow path are kept."""
        if self._plan.is_quick and variant.precision != "f32":
            return False
        directory = self._plan.model_directory
        try:
            self._expected[variant.model] = slow_vectors(self._photos, CHECKED_VECTORS, directory, variant.model)
        except RuntimeError as error:
            print(f"{variant.label}: not available ({str(error).splitlines()[-1]})", flush=True)
            return False
        return True

    def limit(self, variant: Variant, images: int, processes: int) -> Limit:
        """The limit of one variant."""
        return measure_limit(self._photos, images, self._plan.model_directory, variant.model, processes=processes)

    def workers(self, storage: Storage) -> list[Contender]:
        """The worker, in every way that it can run."""
        return [Contender(variant.label, self._worker(storage, variant)) for variant in self.variants]

    def _worker(self, storage: Storage, variant: Variant) -> Callable[[int], BenchOutcome]:
        setup = WorkerSetup(self._plan.model_directory, variant.model, self._plan.vcpus)

        def run(images: int) -> BenchOutcome:
            outcome = run_worker(storage, setup, listed_images(storage, images))
            check_vectors(outcome.rows, self._expected[variant.model])
            return outcome

        return run

    def one_at_a_time(self, storage: Storage) -> list[Contender]:
        """The original sample's loop, as it is and once for each vCPU."""

        def contender(name: str, processes: int) -> Contender:
            return Contender(name, lambda images: self._sample(storage, images, processes))

        several = [contender(f"{ONE_AT_A_TIME}, {self._plan.vcpus} of them", self._plan.vcpus)]
        return [contender(ONE_AT_A_TIME, 1), *([] if self._plan.is_quick else several)]

    def _sample(self, storage: Storage, images: int, processes: int) -> BenchOutcome:
        outcome = run_one_at_a_time(storage, self._plan.model_directory, listed_images(storage, images), processes)
        sample = str(self._card.identity("sample-1"))
        if sample in self._expected:
            # Two programs that share no line of code, and the same vectors.
            check_vectors(outcome.rows, self._expected[sample])
        return outcome

    def peers(self, photos: Photos) -> tuple[list[Contender], list[str]]:
        """The DataLoader and Daft reading `photos`, in the settings that are fastest here, and which those are."""
        if self._plan.is_quick:
            return [], []
        vcpus, images = self._plan.vcpus, max(PROBE_IMAGES, round(self._plan.seconds * PROBE_RATE))
        loader: dict[str, Run] = {
            str(setting): partial(_loader, photos, setting)
            for setting in loader_settings(vcpus, is_far=photos.storage is not None)
        }
        daft: dict[str, Run] = {f"threads {threads}": partial(_daft, photos, threads) for threads in {1, vcpus}}
        return _fastest({DATALOADER: loader, DAFT: daft}, images)


Run = Callable[[int], BenchOutcome]


def _loader(photos: Photos, setting: LoaderSetting, images: int) -> BenchOutcome:
    return run_loader(photos, images, setting)


def _daft(photos: Photos, threads: int, images: int) -> BenchOutcome:
    return run_daft(photos, images, threads)


def _fastest(peers: Mapping[str, Mapping[str, Run]], images: int) -> tuple[list[Contender], list[str]]:
    """Each peer in the fastest of its settings, and a sentence about it."""
    contenders, notes = [], []
    for name, settings in peers.items():
        tried: dict[str, float] = {}
        for setting, run in settings.items():
            tried[setting] = figures(run(images)).images_per_second
            print(f"{name}, {setting}: {tried[setting]:.1f} images/s", flush=True)
        best = max(tried, key=lambda setting: tried[setting])
        contenders.append(Contender(name, settings[best]))
        notes.append(f"{name.partition(',')[0]}: {best}.")
    return contenders, notes


def images_for(contenders: Sequence[Contender], seconds: float) -> dict[str, int]:
    """How many images each needs to run about `seconds`, by a short run that is not counted."""
    images: dict[str, int] = {}
    for contender in contenders:
        rate = figures(contender.run(PROBE_IMAGES)).images_per_second
        images[contender.name] = min(PHOTOS * COPIES, max(PROBE_IMAGES, round(rate * seconds)))
        print(f"{contender.name}: {images[contender.name]} images", flush=True)
    return images


def measure_limits(bench: WorkerBench, plan: Plan, *, processes: int) -> dict[str, Limit]:
    """The limit of each variant by its label, with so many processes at once that do the same."""
    runs: dict[str, list[Limit]] = {variant.label: [] for variant in bench.variants}
    for _ in range(plan.rounds):
        for variant in bench.variants:
            runs[variant.label].append(bench.limit(variant, 2 * PROBE_IMAGES, processes))
    return {label: median_limit(found) for label, found in runs.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Worker and peers in turns at one latency of the storage, and what was the peers' best setting there."""

    found: Mapping[str, Figures]
    settings: Sequence[str]


def compare(bench: WorkerBench, plan: Plan, photos: Path, latency: Latency) -> Comparison:
    """Without latency the DataLoader and Daft read local files; with it all read from the stand-in."""
    with running_storage(photos, copies=COPIES, latency=latency) as storage:
        peers, settings = bench.peers(Photos(photos, storage if latency.s3 else None))
        contenders = [*bench.workers(storage), *bench.one_at_a_time(storage), *peers]
        images = images_for(contenders, plan.seconds)
        return Comparison(in_turns(contenders, images, plan.rounds, lambda line: print(line, flush=True)), settings)


def main() -> None:
    """Measure, check, print, and write the tables unless it is a quick run."""
    end_children_on_sigterm()
    plan, photos = parse_plan(), FOLDER / "photos"
    busy = busy_note(psutil.cpu_percent(interval=IDLE_SECONDS))
    print(busy, flush=True)
    make_photos(photos, PHOTOS)
    bench = WorkerBench(plan, photos)
    limits, crowded = measure_limits(bench, plan, processes=1), measure_limits(bench, plan, processes=plan.vcpus)
    far, near = compare(bench, plan, photos, REALISTIC), compare(bench, plan, photos, Latency())
    tables = {"efficiency": efficiency_table(near.found, limits, crowded)}
    for name, compared in (("worker-latency", far), ("worker", near)):
        table = speed_table(compared.found, ONE_AT_A_TIME, plan.vcpus, limits)
        told = f"The settings that were fastest here: {' '.join(compared.settings)}" if compared.settings else ""
        tables[name] = "\n\n".join(part for part in (table, told) if part)
    for name, table in tables.items():
        print(f"\n{table}")
        if not plan.is_quick and not plan.is_dry:
            write_section(name, f"{table}\n\n{busy}" if busy else table)
    labels = {variant.precision: variant.label for variant in bench.variants}
    peers = {"one-at-a-time": ONE_AT_A_TIME, "dataloader": DATALOADER, "daft": DAFT}
    print(f"\nwithout latency: {final_line(near.found, labels, limits, peers)}")
    print(f"\n{final_line(far.found, labels, limits, peers)}")


def busy_note(percent: float) -> str:
    """A sentence for figures that are taken beside other work; "" where the machine has none."""
    if percent < BUSY_PERCENT:
        return ""
    return (
        f"**The machine did other work as well** ({percent:.0f} % of its cores before the first run): trust no figure."
    )


def parse_plan() -> Plan:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round without torch, nothing written")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=25.0, help="how long a run of a contender should take")
    parser.add_argument("--vcpus", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--model-directory", type=Path, default=FOLDER / "model", help="made again with seeded weights")
    options = parser.parse_args()
    return Plan(
        vcpus=options.vcpus,
        seconds=1.0 if options.quick else options.seconds,
        rounds=1 if options.quick else options.rounds,
        is_quick=options.quick,
        is_dry=options.dry,
        model_directory=options.model_directory,
    )


if __name__ == "__main__":
    main()
