"""sample-1 against MXNet's own resize_short and center_crop, which the original sample calls."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.images.preprocessing import preprocess
from stepvec_worker.images.sample_geometry import sample_crop

from tests.golden.seeded import Array
from tests.worker.pictures import photos, scene

mx = pytest.importorskip("mxnet", reason="compares with MXNet, which only the worker's environment has")


def by_mxnet(image: Image.Image) -> Array:
    """The original sample's lines, up to the crop."""
    resized = mx.image.resize_short(mx.nd.array(image.convert("RGB")), 224).astype("float32")
    cropped, _ = mx.image.center_crop(resized, (224, 244))
    return np.asarray(cropped.asnumpy())


SIZES = [
    (1600, 1200),
    (1200, 1600),
    (224, 244),
    (244, 224),
    (224, 224),
    (256, 256),
    (225, 245),
    (100, 80),
    (80, 100),
    (60, 500),
    (500, 60),
    (223, 243),
    (3, 2),
    (1, 1),
    (1, 40),
]


@pytest.mark.parametrize("size", SIZES)
def test_every_geometry_is_mxnets(size: tuple[int, int]) -> None:
    noise = np.random.RandomState(2).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    image = Image.fromarray(noise)

    ours = sample_crop(noise, 224, 244)

    assert ours.dtype == np.float32
    # Bit for bit on the machines tried; OpenCV picks its instructions by the processor, hence not demanded.
    np.testing.assert_allclose(ours, by_mxnet(image), atol=1e-3)


def test_it_overshoots_like_opencv() -> None:
    # Cubic weights are negative in places: float32 keeps what 8 bits would clip.
    ours = sample_crop(np.asarray(scene(30, 20)), 224, 244)

    assert ours.min() < 0
    assert ours.max() > 255


def test_photos_are_prepared_as_the_sample_prepared_them() -> None:
    for path in photos(every=40):
        image = Image.open(path)

        np.testing.assert_allclose(preprocess(image, "sample-1"), by_mxnet(image), atol=1e-3, err_msg=path.name)
