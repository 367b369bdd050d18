"""What a page is made of: points of the plane, neighbours, groups; and thumbnails of whatever images there are."""

from __future__ import annotations

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from stepvec.client import thumbnails
from stepvec.client.thumbnails import PIXELS, Thumbnails
from stepvec.export.columns import record_batch, row_schema
from stepvec.neighbours.temporary import temporary_index
from stepvec.page.album import NEAREST, Album
from stepvec.page.projection import principal_plane, spread
from stepvec.rows.item import encode_item
from testkit.pages import MODEL, album
from testkit.photos import picture


@pytest.mark.parametrize(("count", "dimension"), [(300, 40), (9, 64), (3, 2), (2, 50)])
def test_the_plane_is_that_of_the_two_largest_eigenvectors(count: int, dimension: int) -> None:
    vectors = np.random.default_rng(3).standard_normal((count, dimension)).astype(np.float32) * np.arange(
        1, dimension + 1
    )
    points = principal_plane(lambda: np.array_split(vectors, 2))
    centred = vectors - vectors.mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose((points**2).sum(axis=0), values[:2], rtol=1e-3, atol=1e-3 * values[0])
    assert abs(points[:, 0] @ points[:, 1]) < 1e-3 * values[0]


def test_the_plane_of_few_or_equal_vectors_is_no_error() -> None:
    assert principal_plane(list).shape == (0, 2)
    assert principal_plane(lambda: [np.ones((1, 5))]).tolist() == [[0, 0]]
    assert np.abs(principal_plane(lambda: [np.ones((4, 1))])).max() == 0
    assert spread(np.zeros((0, 2)), 9).shape == (0, 2)
    assert spread(np.array([[1.0, 5], [3, 5], [2, 5]]), 10).tolist() == [[0, 0], [10, 0], [5, 0]]


def test_an_album_knows_the_nearest_and_the_copies() -> None:
    made = album(90)
    shuffled = [made.rows()[row] for row in np.random.default_rng(1).permutation(90)]
    batches = [record_batch(list(map(encode_item, part)), row_schema(48)) for part in (shuffled[:30], shuffled[30:])]
    with temporary_index(batches, MODEL) as index:
        found = Album(index)
        assert found.keys == made.keys
        assert (len(found), found.model) == (90, MODEL)
        all_near = found.all_near()
        for photo in (0, 17, 89):
            near = found.near(photo)
            assert [made.keys[other] for other in near.photos] == made.nearest(made.keys[photo], NEAREST)
            assert all_near[photo] == near
        groups = found.groups()
        assert [[tuple(member) for member in group] for group in groups.groups] == [
            [(1, "kept", 1.0), (0, "near", 1.0)]
        ]
        assert groups.more == 0
        with pytest.raises(IndexError):
            found.near(90)


def test_an_album_of_one_photo_or_none() -> None:
    rows = album(2).rows()[:1]
    with temporary_index([record_batch(list(map(encode_item, rows)), row_schema(48))], MODEL) as index:
        alone = Album(index)
        assert (alone.near(0).photos, alone.all_near()[0].photos, alone.groups().groups) == ([], [], [])
        assert alone.points() == [[0, 0]]
    with temporary_index([], MODEL) as index:
        assert (len(Album(index)), Album(index).points(), Album(index).all_near()) == (0, [], [])


def seen(data: bytes | None) -> Image.Image:
    assert data is not None
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "WEBP"
    assert max(image.size) <= PIXELS
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_of_half_a_photo_half_is_seen_and_of_other_bytes_nothing() -> None:
    whole = picture(1)
    with Thumbnails(1) as made:
        seen(made.make(whole[: len(whole) * 2 // 3]))
        assert made.make(b"no image") is None
        assert made.make(b"") is None
        seen(made.make(whole))


def test_pictures_are_upright_on_white_and_of_eight_bits() -> None:
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    glass = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    deep = Image.fromarray(np.full((20, 20), 40_000, np.uint16))
    with Thumbnails(1) as made:
        assert seen(made.make(saved(turned, "JPEG", exif=exif))).size == (20, 40)
        assert np.asarray(seen(made.make(saved(glass, "PNG"))).convert("RGB")).min() > 250
        grey = np.asarray(seen(made.make(saved(deep, "PNG"))).convert("L"), int)
        assert np.abs(grey - 40_000 // 256).max() < 4


def test_an_image_that_a_decoder_dies_of_costs_its_own_picture_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Thumbnails(2) as made:
        decoder = thumbnails._Decoder()
        made._idle.put(decoder)
        os.kill(decoder._process.pid, 9)
        assert made.make(picture(1)) is None
        seen(made.make(picture(1)))
        # One that does not end: a process that does not answer.
        monkeypatch.setattr(thumbnails, "ANSWER_SECONDS", 0.3)
        stopped = thumbnails._Decoder()
        made._idle.put(stopped)
        os.kill(stopped._process.pid, 19)
        began = time.monotonic()
        assert made.make(picture(1)) is None
        assert time.monotonic() - began < 30
        assert stopped._process.returncode is not None


def test_many_threads_share_the_processes() -> None:
    with Thumbnails(2) as made, ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(made.make, [picture(number) for number in range(40)]))
        assert len(set(pictures) - {None}) == 40
        processes = [decoder._process for decoder in made._idle.queue if decoder]
        assert len(processes) <= 2
    assert all(process.returncode is not None for process in processes)
