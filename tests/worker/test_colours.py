"""Every mode that a picture can come in."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin
from stepvec_worker.images.colours import to_rgb
from stepvec_worker.images.decoding import DecodeLimits, decode
from stepvec_worker.images.preprocessing import preprocess
from stepvec_worker.images.rejection import ImageRejected

from stepvec.rows.model import PREPROCESSINGS, Preprocessing
from stepvec.runs.outcome import FailureReason
from tests.golden.seeded import Array
from tests.worker.pictures import encoded, scene

LIMITS = DecodeLimits()
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]


def picture_of(mode: str) -> Image.Image:
    image = scene()
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))  # type: ignore[return-value]
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "PA":
        return image.convert("LA").convert(mode)
    if mode == "RGBa":
        return image.convert("RGBA").convert(mode)
    if mode == "P":
        return image.quantize(256)
    return image.convert(mode)


def grey_of(image: Image.Image) -> Array:
    row: Array = np.asarray(to_rgb(image))[0]
    return row


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_every_mode_has_pixels(mode: str, preprocessing: Preprocessing) -> None:
    image = picture_of(mode)
    assert image.mode == mode

    assert np.isfinite(preprocess(image, preprocessing)).all()


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "RGBX", "YCbCr", "HSV", "LAB", "CMYK", "P"])
def test_colours_survive_their_conversion(mode: str) -> None:
    difference = np.asarray(to_rgb(picture_of(mode)), np.int16) - np.asarray(scene(), np.int16)

    assert np.abs(difference).mean() < (12 if mode == "P" else 4)


def test_a_mode_without_a_conversion_is_unsupported() -> None:
    with pytest.raises(ImageRejected) as caught:
        to_rgb(scene().convert("LA").convert("La"))
    assert caught.value.reason is FailureReason.UNSUPPORTED


@pytest.mark.parametrize("mode", ["L", "LA", "PA", "I", "F", "I;16"])
def test_greys_survive_their_conversion(mode: str) -> None:
    difference = np.asarray(to_rgb(picture_of(mode)), np.int16) - np.asarray(scene().convert("L"), np.int16)[..., None]

    assert np.abs(difference).max() <= (60 if mode == "PA" else 1)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    expected = [[0] * 3, [1] * 3, [128] * 3, [255] * 3]

    assert grey_of(Image.fromarray(values)).tolist() == expected
    from_png = decode(encoded(Image.fromarray(values), "PNG"), LIMITS)
    assert from_png.mode == "I;16"
    assert grey_of(from_png).tolist() == expected
    from_tiff = decode(encoded(Image.fromarray(values.astype(">u2")), "TIFF"), LIMITS)
    assert grey_of(from_tiff).tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.int32), [0, 255]),
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[-10, 0, 10]], np.int32), [0, 128, 255]),
        (np.array([[0, 1_000_000]], np.int32), [0, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 255]], np.float32), [0, 255]),
        (np.array([[np.nan, np.inf, 1]], np.float32), [0, 0, 255]),
        (np.array([[-7, -7]], np.int32), [0, 0]),
        (np.array([[0, 0]], np.float32), [0, 0]),
    ],
)
def test_modes_without_a_white_of_their_own(values: Array, expected: list[int]) -> None:
    assert grey_of(Image.fromarray(values))[:, 0].tolist() == expected


def test_transparency_is_white() -> None:
    clear_red = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half_black = Image.new("LA", (4, 4), (0, 128))
    assert grey_of(clear_red)[0].tolist() == [255, 255, 255]
    assert grey_of(half_black)[0].tolist() == [127, 127, 127]


def test_a_palettes_transparent_colour_is_white() -> None:
    palette = scene().quantize(8)
    palette.paste(3, (0, 0, 20, 20))
    for format_ in ("PNG", "GIF"):
        image = decode(encoded(palette, format_, transparency=3), LIMITS)

        assert grey_of(image)[5].tolist() == [255, 255, 255], format_
        assert grey_of(image)[45].tolist() != [255, 255, 255], format_


def test_a_png_colour_declared_transparent_is_white() -> None:
    image = Image.new("RGB", (4, 4), (10, 20, 30))

    assert grey_of(decode(encoded(image, "PNG", transparency=(10, 20, 30)), LIMITS))[0].tolist() == [255] * 3
    assert grey_of(decode(encoded(image, "PNG"), LIMITS))[0].tolist() == [10, 20, 30]


def test_a_cmyk_jpeg_has_its_colours() -> None:
    for colour in ("red", "white", "black", "lime"):
        data = encoded(Image.new("CMYK", (16, 16)), "JPEG")
        assert decode(data, LIMITS).mode == "CMYK"
        data = encoded(Image.new("RGB", (16, 16), colour).convert("CMYK"), "JPEG", quality=95)

        found = np.asarray(to_rgb(decode(data, LIMITS)))[8, 8].astype(int)

        assert np.abs(found - np.asarray(Image.new("RGB", (1, 1), colour))[0, 0]).max() < 12, colour


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_than_16_in_16_are_not_nearly_black(bits: int) -> None:
    white = 2**bits - 1
    assert grey_of(Image.fromarray(np.array([[0, white // 2, white]], np.uint16)))[:, 0].tolist() == [0, 127, 255]


def test_white_is_what_a_tiff_says_it_is() -> None:
    values = np.array([[0, 1_000, 2_000]], np.uint16)
    image = decode(encoded(Image.fromarray(values), "TIFF", tiffinfo={281: 2_000}), LIMITS)
    assert grey_of(image)[:, 0].tolist() == [0, 128, 255]
    # It is not believed where values go beyond it.
    image = decode(encoded(Image.fromarray(values), "TIFF", tiffinfo={281: 1_500}), LIMITS)
    assert grey_of(image)[:, 0].tolist() == [0, 62, 125]


def test_pixels_without_data_do_not_count_for_the_range() -> None:
    """A float GeoTIFF of heights, -9999 where nothing was measured: the heights were all one white."""
    heights = np.array([[-9999, 812.5, 1_012.5, 1_212.5]], np.float32)
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[42113] = "-9999"
    info.tagtype[42113] = 2
    image = decode(encoded(Image.fromarray(heights), "TIFF", tiffinfo=info), LIMITS)
    assert grey_of(image)[:, 0].tolist() == [0, 0, 127, 255]
    below = np.where(heights < 0, heights, -heights)
    image = decode(encoded(Image.fromarray(below), "TIFF", tiffinfo=info), LIMITS)
    assert grey_of(image)[:, 0].tolist() == [0, 255, 127, 0]
    assert grey_of(Image.fromarray(np.array([[np.nan, np.nan]], np.float32)))[:, 0].tolist() == [0, 0]
