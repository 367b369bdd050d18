"""`python -m bench.gpu`: ONNX Runtime on this machine's NVIDIA card: parity, speed alone and fed, use, memory.

In float32 and float16: the vectors of photos against those of the CPU in float32, the same batch again and again, and
a shard through the whole worker, storage served beside it. Writes docs/gpu.md and ends with one line; exit code 1 where
there is no card, or a vector is another. --rehearse runs all of it on the CPU and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.checks import FloatArray, check_rows, cosine
from bench.figures import BenchOutcome, figures
from bench.gpu_card import Activity, find_card, watched
from bench.worker_run import WorkerSetup, listed_images, worker_process
from local_pipeline.installation import MODEL_DIRECTORY, ROOT, WORKER_PYTHON
from stepvec.errors import DeviceError
from stepvec.rows.model import Precision
from stepvec.weights.model_directory import read_model_card
from testkit.photos import make_photos
from testkit.processes import run_measured
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import Storage, running_storage
from testkit.tables import DOCS, markdown_table, write_section

GPU_PYTHON: Final = ROOT / ".venv-worker-gpu" / "bin" / "python"
"""Of requirements/worker-gpu-onnxruntime.txt."""
MIN_COSINE: Final[Mapping[Precision, float]] = {"float32": 0.9999, "float16": 0.999}
"""To the CPU's vectors in float32."""
BATCHES: Final = (16, 64, 256)
FED_BATCH: Final = 64
PHOTOS: Final = 100
HEAD: Final = ("", "least cosine", "images/s", "GPU busy", "GPU memory, MiB", "start, s")


@dataclass(frozen=True, slots=True)
class Place:
    """Where networks run: the device as the worker calls it, the Python that has its engine, what it can compute in.

    seconds: how long a batch is embedded again and again. copies: names that each photo has in the shard.
    """

    device: str
    python: Path
    precisions: tuple[Precision, ...]
    seconds: float
    copies: int

    def watch(self) -> AbstractContextManager[Activity]:
        """What the card does meanwhile; nothing where there is none."""
        return watched() if self.device == "gpu" else nullcontext(Activity())


GPU: Final = Place("gpu", GPU_PYTHON, ("float32", "float16"), seconds=5.0, copies=100)
REHEARSAL: Final = Place("cpu", WORKER_PYTHON, ("float32",), seconds=0.5, copies=1)


@dataclass(frozen=True, slots=True)
class Run:
    """One line of the table. `cosine` is None where vectors were compared already."""

    name: str
    cosine: float | None
    images_per_second: float
    activity: Activity
    start_seconds: float | None = None

    def row(self) -> list[str]:
        """As the table has it."""
        return [
            self.name,
            "" if self.cosine is None else f"{self.cosine:.6f}",
            f"{self.images_per_second:,.0f}",
            f"{self.activity.mean_busy:.0f} %" if self.activity.busy else "",
            f"{self.activity.peak_memory_mib:,.0f}" if self.activity.memory_mib else "",
            "" if self.start_seconds is None else f"{self.start_seconds:.1f}",
        ]


class Proof:
    """What is measured at `place`, with the photos in `photos`."""

    def __init__(self, place: Place, photos: Path, folder: Path) -> None:
        self._place = place
        self._photos = photos
        self._folder = folder

    def alone(self, model: Path, precision: Precision, batch_size: int, reference: Mapping[str, FloatArray]) -> Run:
        """The engine with batches that are there."""
        vectors, run = self._engine(self._place, model, precision, batch_size)
        worst = min(cosine(vectors[name], vector) for name, vector in reference.items()) if reference else None
        return Run(run.name, worst, run.images_per_second, run.activity, run.start_seconds)

    def reference(self, model: Path) -> Mapping[str, FloatArray]:
        """The photos' vectors by the CPU in float32, by the same build of ONNX Runtime."""
        place = Place("cpu", self._place.python, ("float32",), seconds=0.0, copies=0)
        return self._engine(place, model, "float32", BATCHES[0])[0]

    def _engine(
        self, place: Place, model: Path, precision: Precision, batch_size: int
    ) -> tuple[Mapping[str, FloatArray], Run]:
        card, out = read_model_card(model), self._folder / "vectors.npz"
        identity = card.identity("standard-1", "onnxruntime", precision)
        command = [str(place.python), "-m", "bench.gpu_engine", "--photos", str(self._photos), "--vectors", str(out)]
        command += ["--model-directory", str(model), "--model", str(identity), "--device", place.device]
        command += ["--batch-size", str(batch_size), "--seconds", str(place.seconds)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'worker_image'}"}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin  # noqa: S101 - for mypy: both are pipes
            assert process.stdout  # noqa: S101
            if not (warm := process.stdout.readline()):
                raise RuntimeError(f"{identity} on {place.device} ended with {process.wait()}; its words are above.")
            with place.watch() as activity:
                print(file=process.stdin, flush=True)
                measured = json.loads(process.stdout.readline())
        with np.load(out) as vectors:
            found = {name: vectors[name] for name in vectors.files}
        about = json.loads(warm)
        name = f"{card.architecture}, {about['running']}, batches of {batch_size}"
        return found, Run(name, None, measured["images_per_second"], activity, about["load_seconds"])

    def fed(self, storage: Storage, model: Path, precision: Precision, images: int) -> Run:
        """A shard through the worker: one process that has the device, decoding on all vCPUs."""
        card = read_model_card(model)
        identity = str(card.identity("standard-1", "onnxruntime", precision))
        setup = WorkerSetup(model, identity, os.cpu_count() or 1, {"STEPVEC_BATCH_SIZE": str(FED_BATCH)})
        listed = listed_images(storage, images)
        (_, *arguments), environment = worker_process(storage, setup, listed)
        command = [str(self._place.python), *arguments, "--device", self._place.device]
        storage.reset()
        with self._place.watch() as activity:
            usage = run_measured([command], environment, ROOT)
        counts = storage.counts()
        check_rows(storage.rows(), listed, identity)
        speed = figures(BenchOutcome(images, counts.stored, usage, counts.cpu_seconds)).images_per_second
        return Run(f"{card.architecture}, the whole worker, {precision}, {setup.vcpus} vCPUs", None, speed, activity)


def measure(place: Place, folder: Path) -> tuple[list[Run], list[str]]:
    """All runs, and what is wrong with them."""
    photos, seeded = folder / "photos", folder / "seeded"
    photos.mkdir()
    make_photos(photos, PHOTOS)
    make_seeded_model(seeded)
    proof = Proof(place, photos, folder)
    runs, wrong = [], []
    for model in (MODEL_DIRECTORY, seeded):
        reference = proof.reference(model)
        for precision in place.precisions:
            for batch_size in BATCHES:
                run = proof.alone(model, precision, batch_size, reference)
                print(" | ".join(run.row()), flush=True)
                runs.append(run)
                if run.cosine is None or not run.cosine >= MIN_COSINE[precision]:
                    wrong.append(f"{run.name}: cosine {run.cosine}, less than {MIN_COSINE[precision]}")
    with running_storage(photos, copies=place.copies) as storage:
        for precision in place.precisions:
            run = proof.fed(storage, seeded, precision, PHOTOS * place.copies)
            print(" | ".join(run.row()), flush=True)
            runs.append(run)
    return runs, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and record; 1 if there is no card, or something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, without a card; nothing is written")
    options = parser.parse_args(arguments)
    try:
        card = "no card: rehearsed on the CPU" if options.rehearse else str(find_card())
    except DeviceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="stepvec-gpu-") as folder:
        runs, wrong = measure(REHEARSAL if options.rehearse else GPU, Path(folder))
    for told in wrong:
        print(f"error: {told}", file=sys.stderr)
    if not wrong and not options.rehearse:
        write_section("gpu", f"{card}.\n\n{markdown_table(HEAD, [run.row() for run in runs])}", DOCS / "gpu.md")
    fastest = max(runs, key=lambda run: run.images_per_second)
    print(f"{card} | fastest {fastest.name}: {fastest.images_per_second:,.0f} images/s | {runs[-1].name}: "
          f"{runs[-1].images_per_second:,.0f} images/s")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
