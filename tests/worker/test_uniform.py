"""An image is of one colour when all its decoded pixels are the same, in whatever format, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare, prepare_picture

from stepvec.rows.model import PREPROCESSINGS, Preprocessing
from tests.worker.pictures import encoded, scene


def plain(mode: str = "RGB", colour: object = (90, 120, 30), size: tuple[int, int] = (801, 603)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def dotted(where: tuple[int, int], mode: str = "RGB") -> Image.Image:
    image = plain("RGB", (255, 255, 255))
    image.putpixel(where, (254, 255, 255))
    return image.convert(mode)


def transparent() -> Image.Image:
    """White after flattening; the colours under it differ."""
    image = scene(300, 200).convert("RGBA")
    image.putalpha(0)
    return image


def noise(amplitude: int) -> Image.Image:
    values = 128 + np.random.RandomState(1).randint(0, amplitude + 1, (300, 400, 3))
    return Image.fromarray(values.astype(np.uint8))


UNIFORM: dict[str, Callable[[], bytes]] = {
    "white PNG": lambda: encoded(plain(colour="white"), "PNG"),
    "black PNG of one pixel": lambda: encoded(plain(colour="black", size=(1, 1)), "PNG"),
    "palette": lambda: encoded(plain("P", 3), "PNG"),
    "one bit": lambda: encoded(plain("1", 1), "TIFF"),
    "sixteen bits": lambda: encoded(Image.fromarray(np.full((400, 300), 40_000, np.uint16)), "PNG"),
    "JPEG": lambda: encoded(plain(), "JPEG", quality=95),
    "progressive JPEG at a half": lambda: encoded(plain(size=(3000, 2000)), "JPEG", quality=30, progressive=True),
    "grey JPEG": lambda: encoded(plain("L", 77), "JPEG"),
    "CMYK JPEG": lambda: encoded(plain("CMYK", (10, 20, 30, 40)), "JPEG"),
    "WebP": lambda: encoded(plain(), "WEBP"),
    "GIF": lambda: encoded(plain("P", 3), "GIF"),
    "half transparent": lambda: encoded(plain("RGBA", (200, 100, 50, 128)), "PNG"),
}
VARIED: dict[str, Callable[[], bytes]] = {
    "a photo": lambda: encoded(scene(640, 480), "JPEG"),
    "almost white noise": lambda: encoded(noise(1), "PNG"),
    "a photo, nearly uniform": lambda: encoded(noise(2), "JPEG", quality=95),
    "a pixel in the middle": lambda: encoded(dotted((400, 300)), "PNG"),
    "a pixel that the network does not see": lambda: encoded(dotted((0, 0)), "PNG"),
    "the last pixel": lambda: encoded(dotted((800, 602)), "BMP"),
    "a pixel, lost in the resizing": lambda: encoded(dotted((401, 301)).resize((6408, 4824), 0), "PNG"),
}


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
@pytest.mark.parametrize("name", UNIFORM)
def test_one_colour_in_every_pixel_is_uniform(name: str, preprocessing: Preprocessing) -> None:
    picture = prepare_picture(UNIFORM[name](), DecodeLimits(), preprocessing)
    assert picture.is_uniform
    assert np.ptp(picture.pixels.reshape(-1, 3), axis=0).max() < 0.01


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
@pytest.mark.parametrize("name", VARIED)
def test_one_pixel_of_another_colour_is_enough(name: str, preprocessing: Preprocessing) -> None:
    data = VARIED[name]()
    picture = prepare_picture(data, DecodeLimits(), preprocessing)
    assert not picture.is_uniform
    np.testing.assert_array_equal(picture.pixels, prepare(data, DecodeLimits(), preprocessing))


def test_transparency_is_flattened_first() -> None:
    data = encoded(transparent(), "PNG")
    assert prepare_picture(data, DecodeLimits(), "standard-1").is_uniform
    # The original sample saw what lies under it.
    assert not prepare_picture(data, DecodeLimits(), "sample-1").is_uniform
