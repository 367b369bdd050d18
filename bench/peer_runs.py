"""The peers, run and measured like the worker."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import BenchOutcome
from bench.worker_run import WorkerOutcome, worker_environment
from local_pipeline.installation import ROOT, WORKER_PYTHON
from stepvec.rows.model import WEIGHTS_FILE
from stepvec.runs.listing import ShardImage
from testkit.processes import run_measured
from testkit.storage.client import IMAGE_BUCKET, TABLE, Storage

TORCH_PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483647"}
"""glibc keeps freed memory instead of asking the kernel for it at each batch: a third more images a second."""


def run_one_at_a_time(
    storage: Storage, model_directory: Path, images: Sequence[ShardImage], processes: int
) -> WorkerOutcome:
    """The original sample's loop over `images`, or so many loops over a part each."""
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for number in range(processes):
            keys = Path(folder) / str(number)
            keys.write_text("".join(f"{image.key}\n" for image in images[number::processes]))
            command = [str(WORKER_PYTHON), "-m", "bench.peers.one_at_a_time", "--bucket", IMAGE_BUCKET]
            command += ["--table", TABLE, "--weights", str(model_directory / WEIGHTS_FILE), "--keys", str(keys)]
            commands.append(command)
        environment = worker_environment(storage)
        if processes > 1:
            # Each has its core; by itself MXNet would take them all for each process.
            environment["OMP_NUM_THREADS"] = "1"
        storage.reset()
        usage = run_measured(commands, environment, ROOT)
    counts = storage.counts()
    return WorkerOutcome(len(images), counts.stored, usage, counts.cpu_seconds, storage.rows())


@dataclass(frozen=True, slots=True)
class LoaderSetting:
    """How the DataLoader peer is run."""

    workers: int
    threads: int
    draft: bool
    frozen: bool

    def __str__(self) -> str:
        extras = [name for name, is_on in (("draft", self.draft), ("frozen", self.frozen)) if is_on]
        return ", ".join([f"workers {self.workers}", f"threads {self.threads}", *extras])


def loader_settings(vcpus: int) -> Iterator[LoaderSetting]:
    """What an expert would try on a machine of `vcpus`; the fastest is the peer."""
    for workers, threads in ((vcpus, vcpus), (vcpus, 1), (1, max(1, vcpus - 1)), (1, vcpus)):
        yield LoaderSetting(workers, threads, draft=True, frozen=True)
    yield LoaderSetting(vcpus, vcpus, draft=True, frozen=False)


def run_loader(photos: Path, images: int, setting: LoaderSetting) -> BenchOutcome:
    """The DataLoader peer over `images` files of `photos`."""
    command = [str(TORCH_PYTHON), "-m", "bench.peers.dataloader", "--photos", str(photos), "--images", str(images)]
    command += ["--workers", str(setting.workers), "--threads", str(setting.threads)]
    command += [*(["--draft"] if setting.draft else []), *(["--frozen"] if setting.frozen else [])]
    usage = run_measured([command], {**os.environ, **MALLOC}, ROOT)
    lines = [json.loads(line) for line in usage.outputs[0].splitlines()]
    return BenchOutcome(images, [(line["time"], line["images"]) for line in lines], usage)
