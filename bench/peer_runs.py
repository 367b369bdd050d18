"""The peers, run and measured like the worker."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import BenchOutcome
from bench.worker_run import WorkerOutcome, listed_images, worker_environment
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
class Photos:
    """Where a peer finds its images: in a folder, whose files are taken again and again, or in the stand-in."""

    folder: Path
    storage: Storage | None = None

    def urls(self, images: int) -> list[str]:
        """Paths, or S3 URIs."""
        if self.storage is not None:
            return [f"s3://{IMAGE_BUCKET}/{image.key}" for image in listed_images(self.storage, images)]
        files = sorted(map(str, self.folder.iterdir()))
        return (files * -(-images // len(files)))[:images]


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


def loader_settings(vcpus: int, *, is_far: bool) -> Iterator[LoaderSetting]:
    """What an expert would try on a machine of `vcpus`; the fastest is the peer. Far from its photos more load."""
    processes = (2 * vcpus, 4 * vcpus, 8 * vcpus) if is_far else ()
    for workers, threads in ((vcpus, vcpus), (vcpus, 1), (1, max(1, vcpus - 1)), (1, vcpus)):
        yield LoaderSetting(workers, threads, draft=True, frozen=True)
    for workers in processes:
        yield LoaderSetting(workers, vcpus, draft=True, frozen=True)
    yield LoaderSetting(vcpus, vcpus, draft=True, frozen=False)


def run_loader(photos: Photos, images: int, setting: LoaderSetting) -> BenchOutcome:
    """The DataLoader peer over the first `images` of `photos`."""
    options = ["--workers", str(setting.workers), "--threads", str(setting.threads)]
    options += [*(["--draft"] if setting.draft else []), *(["--frozen"] if setting.frozen else [])]
    return _run("bench.peers.dataloader", photos, images, options)


def run_daft(photos: Photos, images: int, threads: int) -> BenchOutcome:
    """The Daft peer over the first `images` of `photos`, its network in so many threads."""
    environment = {"DAFT_PROGRESS_BAR": "0", "DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1"}
    return _run("bench.peers.daft_pipeline", photos, images, ["--threads", str(threads)], environment)


def _run(
    module: str, photos: Photos, images: int, options: Sequence[str], more: Mapping[str, str] | None = None
) -> BenchOutcome:
    """A peer that prints a line of JSON for each batch."""
    known = photos.storage.environment if photos.storage else {}
    environment = {**os.environ, **MALLOC, **known, **(more or {}), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        urls = Path(folder) / "urls"
        urls.write_text("".join(f"{url}\n" for url in photos.urls(images)))
        usage = run_measured([[str(TORCH_PYTHON), "-m", module, "--urls", str(urls), *options]], environment, ROOT)
    lines = [json.loads(line) for line in usage.outputs[0].splitlines() if line.startswith("{")]
    return BenchOutcome(images, [(line["time"], line["images"]) for line in lines], usage)
