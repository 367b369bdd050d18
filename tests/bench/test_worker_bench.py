"""The bench's parts put together on a few images, so that a benchmark of the real worker does not rot."""

from __future__ import annotations

import pytest

from bench.checks import check_vectors
from bench.limits import measure_limit, slow_vectors
from bench.peer_runs import run_one_at_a_time
from bench.worker_run import WorkerSetup, listed_images, memory_settings, run_worker, worker_process
from testkit.photos import make_tiny_photos
from testkit.seeded_model import make_seeded_model
from testkit.storage.client import REALISTIC, running_storage

IMAGES = 72
PHOTOS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    make_tiny_photos(folder / "photos", PHOTOS)
    return folder


def test_the_worker_and_the_sample_give_the_vectors_of_the_slow_path(folder):
    card = make_seeded_model(folder / "model")
    model = str(card.identity("sample-1"))
    expected = slow_vectors(folder / "photos", PHOTOS, folder / "model", model)
    assert len(expected) == PHOTOS
    with running_storage(folder / "photos", copies=IMAGES // PHOTOS, latency=REALISTIC) as storage:
        images = listed_images(storage, IMAGES)
        outcome = run_worker(storage, WorkerSetup(folder / "model", model, 2), images)
        check_vectors(outcome.rows, expected)
        assert sum(rows for _, rows in outcome.done) == IMAGES
        assert outcome.usage.peak_mb > 100
        sample = run_one_at_a_time(storage, folder / "model", images[:PHOTOS], processes=1)
        assert len(sample.rows) == PHOTOS
        check_vectors(sample.rows, expected)


def test_the_worker_is_measured_with_its_images_allocator(folder):
    settings = memory_settings()
    assert set(settings) == {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    with running_storage(folder / "photos", copies=1, latency=REALISTIC) as storage:
        setup = WorkerSetup(folder / "model", "any", 1, {"MALLOC_ARENA_MAX": "1"})
        _, environment = worker_process(storage, setup, listed_images(storage, PHOTOS))
    assert {name: value for name, value in environment.items() if name.startswith("MALLOC_")} == {
        **settings,
        "MALLOC_ARENA_MAX": "1",
    }


def test_the_limit_has_both_its_parts(folder):
    model = str(make_seeded_model(folder / "model").identity("standard-1"))
    alone = measure_limit(folder / "photos", PHOTOS, folder / "model", model)
    assert 0 < alone.decode_ms < alone.model_ms
