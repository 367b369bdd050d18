"""A worker that is told to stop is gone within 15 seconds, whatever it waits for. S3 and DynamoDB are the stand-in."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bench.worker_run import WorkerSetup, listed_images, worker_process
from local_pipeline.installation import ROOT
from stepvec.exit_codes import TERMINATED
from testkit.photos import make_tiny_photos
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import REALISTIC, Storage, running_storage

MAX_SECONDS = 15.0
"""From SIGTERM to SIGKILL when a Spot host shuts down (stepvec_worker/processes/host.py has the source)."""
IMAGES = 4_000
PHOTOS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("termination")
    make_tiny_photos(folder / "photos", PHOTOS)
    make_seeded_model(folder / "model")
    return folder


@pytest.fixture
def storage(folder: Path) -> Iterator[Storage]:
    with running_storage(folder / "photos", copies=IMAGES // PHOTOS, latency=REALISTIC) as storage:
        yield storage


@contextmanager
def running_worker(storage: Storage, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    model = str(make_seeded_model(folder / "model").identity("standard-1"))
    setup = WorkerSetup(folder / "model", model, 2, environment)
    command, variables = worker_process(storage, setup, listed_images(storage, IMAGES))
    with subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.DEVNULL) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def wait_for_rows(storage: Storage, count: int) -> None:
    end = time.monotonic() + 90
    while len(storage.rows()) < count:
        assert time.monotonic() < end
        time.sleep(0.1)


def seconds_to_stop(worker: subprocess.Popen[bytes]) -> float:
    """From SIGTERM until it has ended, with the processes of its own."""
    children = psutil.Process(worker.pid).children(recursive=True)
    start = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)
    seconds = time.monotonic() - start
    assert worker.returncode == TERMINATED
    while alive := [child for child in children if is_alive(child)]:
        assert time.monotonic() - start < MAX_SECONDS, alive
        time.sleep(0.05)
    return seconds


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not: the host's first process takes its time to collect it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_worker_stores_what_it_has_begun_and_ends(storage: Storage, folder: Path) -> None:
    with running_worker(storage, folder) as worker:
        wait_for_rows(storage, 50)
        assert seconds_to_stop(worker) < MAX_SECONDS
    assert 50 <= len(storage.rows()) < IMAGES


def test_a_worker_whose_storage_has_stopped_to_answer_ends(storage: Storage, folder: Path) -> None:
    server = psutil.Process(storage.pid)
    with running_worker(storage, folder) as worker:
        wait_for_rows(storage, 20)
        server.suspend()
        try:
            # By then every one of its requests waits.
            time.sleep(1)
            assert seconds_to_stop(worker) < MAX_SECONDS
        finally:
            server.resume()


def test_a_worker_that_has_not_even_read_its_shard_ends(storage: Storage, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_worker(storage, folder, AWS_ENDPOINT_URL=url) as worker:
            connection, _ = silent.accept()
            with connection:
                assert seconds_to_stop(worker) < MAX_SECONDS
