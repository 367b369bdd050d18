"""The peers that have an environment of their own, on a few images: only where `make bench` has installed it."""

from __future__ import annotations

import pytest

from bench.peer_runs import TORCH_PYTHON, LoaderSetting, Photos, loader_settings, run_daft, run_loader
from testkit.photos import make_tiny_photos
from testkit.storage.client import REALISTIC, running_storage

IMAGES = 40

pytestmark = pytest.mark.skipif(not TORCH_PYTHON.exists(), reason="torch and Daft are 5 GB: make build/stamps/bench")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("peer", ["dataloader", "daft"])
def test_a_peer_embeds_each_image_of_a_folder_and_of_s3(tmp_path, peer):
    make_tiny_photos(tmp_path / "photos", 8)
    with running_storage(tmp_path / "photos", copies=5, latency=REALISTIC) as storage:
        for photos in (Photos(tmp_path / "photos"), Photos(tmp_path / "photos", storage)):
            storage.reset()
            if peer == "daft":
                outcome = run_daft(photos, IMAGES, 1)
            else:
                outcome = run_loader(photos, IMAGES, LoaderSetting(1, 1, draft=True, frozen=True))
            assert sum(images for _, images in outcome.done) == IMAGES
            # And a page of the listing.
            assert storage.counts().requests.get("GET", 0) == (IMAGES + 1 if photos.storage else 0)


def test_far_from_its_photos_the_dataloader_is_tried_with_more_processes():
    near, far = ({setting.workers for setting in loader_settings(2, is_far=is_far)} for is_far in (False, True))
    assert (max(near), max(far)) == (2, 16)
