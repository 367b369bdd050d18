"""Formats beyond Pillow's oldest: AVIF, HEIC and JPEG XL are read, others named."""

from __future__ import annotations

import base64
import importlib.util
import io
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, TiffImagePlugin
from stepvec_worker.images.decoding import DecodeLimits, decode, decode_fast
from stepvec_worker.images.preprocessing import prepare
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.images.signatures import JPEG_XL

from tests.worker.pictures import encoded, scene

LIMITS = DecodeLimits()
HEIC = (Path(__file__).parent / "data" / "scene.heic").read_bytes()
TURNED = (Path(__file__).parent / "data" / "turned.heic").read_bytes()
"""`scene` with noise, 320 x 240, by x265; the second stored turned, with an orientation."""


def noisy(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    noise = np.random.RandomState(3).normal(0, 10, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(scene(width, height)) + noise, 0, 255).astype(np.uint8)).convert(mode)


def jpeg_xl(image: Image.Image) -> bytes:
    import pylibjxl

    return bytes(pylibjxl.encode(np.asarray(image)))


HAS_JPEG_XL = importlib.util.find_spec("pylibjxl") is not None
"""Not on ARM."""
FILES = {"AVIF": encoded(noisy(), "AVIF", quality=90), "HEIC": HEIC}
if HAS_JPEG_XL:
    FILES["JPEG XL"] = jpeg_xl(noisy())


def rejected(data: bytes, limits: DecodeLimits = LIMITS) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode_fast(data, limits)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_a_photo_has_the_pixels_that_it_has_in_other_formats(name: str) -> None:
    image = decode(FILES[name], LIMITS)
    assert image.size == (320, 240)
    difference = np.asarray(image.convert("RGB"), int) - np.asarray(noisy(), int)
    assert np.abs(difference).mean() < 8
    expected = prepare(encoded(noisy(), "PNG"), LIMITS, "standard-1").astype(int)
    assert np.abs(prepare(FILES[name], LIMITS, "standard-1") - expected).mean() < 8


def test_a_heic_that_is_stored_turned_is_upright() -> None:
    difference = prepare(TURNED, LIMITS, "standard-1").astype(int) - prepare(HEIC, LIMITS, "standard-1")
    assert np.abs(difference).mean() < 8


def test_where_there_is_no_decoder_of_jpeg_xl_it_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibjxl", None)
    error = rejected(JPEG_XL[0] + bytes(40))
    assert (str(error.reason), "JPEG XL" in error.message) == ("Unsupported", True)


@pytest.mark.skipif(not HAS_JPEG_XL, reason="needs pylibjxl, which is not there on ARM")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_kind_of_jpeg_xl_has_pixels(mode: str) -> None:
    assert prepare(jpeg_xl(noisy(mode=mode)), LIMITS, "standard-1").shape == (224, 224, 3)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_one_that_breaks_off_is_truncated(name: str, share: float) -> None:
    data = FILES[name]
    error = rejected(data[: int(len(data) * share)])
    # libjxl says the same of both.
    assert str(error.reason) in ("Truncated", "Damaged" if name == "JPEG XL" else "Truncated"), error.message


@pytest.mark.parametrize("name", FILES)
def test_zeros_for_the_rest_are_refused_and_zeros_behind_the_file_are_not(name: str) -> None:
    data = FILES[name]
    for share in (0.5, 0.9):
        kept = data[: int(len(data) * share)]
        assert str(rejected(kept + bytes(len(data) - len(kept))).reason) in ("Truncated", "Damaged")
    prepare(data + bytes(500), LIMITS, "standard-1")
    flat = Image.new("RGB", (1_000, 800), "white")
    for quality in (10, 100):
        prepare(encoded(flat, "AVIF", speed=10, quality=quality), LIMITS, "standard-1")


@pytest.mark.parametrize("name", FILES)
def test_one_that_is_too_large_is_refused_before_it_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    if name == "JPEG XL":
        monkeypatch.setattr("pylibjxl.decode", never)
    monkeypatch.setattr(Image.Image, "load", never)
    assert str(rejected(FILES[name], DecodeLimits(pixels=320 * 240 - 1)).reason) == "TooLarge"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypavci\0\0\0\0mif1avci" + bytes(40), "HEIF"),
        (b"\0\0\0\x18ftypmif2\0\0\0\0miafvvic" + bytes(40), "HEIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(40), "Canon"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(40), "film"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(40), "film"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(40), "film"),
        (b"\0\0\0\x08wide\0\0\0\x10mdat" + bytes(40), "film"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1webm" + bytes(40), "film"),
        (b"RIFF\0\0\1\0AVI LIST" + bytes(40), "film"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40), "AppleDouble"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\6" + bytes(40), "CgBI"),
        (b"II\xbc\1" + bytes(40), "JPEG XR"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(40), "Fujifilm"),
        (b"%PDF-1.7", "PDF"),
        (b"P6\n# by a camera\n10 10\n255\n" + bytes(300), "Netpbm"),
        (b"\0" * 128 + b"DICM" + bytes(40), "DICOM"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg viewBox='0 0 1 1'/>", "SVG"),
        (b"v/1\1" + bytes(40), "OpenEXR"),
    ],
)
def test_what_is_no_image_of_ours_is_unsupported_by_name(data: bytes, name: str) -> None:
    error = rejected(data)
    assert str(error.reason) == "Unsupported"
    assert name in error.message
    assert "No decoder knows these bytes" not in error.message


PNG_FILE = encoded(noisy(), "PNG")
JPEG_FILE = encoded(noisy(), "JPEG")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(5000), "All its bytes are zero"),
        (b"<!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>", "an error message in XML"),
        (b'{"message": "Internal server error"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (base64.b64encode(JPEG_FILE), "base64"),
        (b"data:image/png;base64," + base64.b64encode(PNG_FILE), "data: URL"),
        (b"%x;chunk-signature=%s\r\n%s\r\n0\r\n\r\n" % (len(JPEG_FILE), b"0" * 64, JPEG_FILE), "aws-chunked"),
        (b"--5d1f\r\nContent-Disposition: form-data; name=x\r\n\r\n" + JPEG_FILE, "multipart/form-data"),
        (JPEG_FILE.decode("latin1").encode(), "UTF-8"),
        (JPEG_FILE.decode("utf-8", "replace").encode(), "UTF-8"),
        (PNG_FILE.replace(b"\r\n", b"\n"), "line endings"),
        (PNG_FILE.replace(b"\n", b"\r\n"), "line endings"),
        (b"\xef\xbb\xbf" + JPEG_FILE, "byte order mark"),
        (b"\n" + PNG_FILE, "byte order mark"),
        (b"PK\3\4" + bytes(40), "archive"),
        (lzma.compress(JPEG_FILE), "Unpack it"),
    ],
)
def test_what_came_in_an_images_place_is_named_with_what_to_do(data: bytes, words: str) -> None:
    error = rejected(data)
    assert str(error.reason) == "NotAnImage"
    assert words in error.message


@pytest.mark.parametrize(
    "tags",
    [
        {254: 1, 330: (8,)},  # NEF, ARW, PEF: the first picture is a small copy of one in a sub-directory
        {50706: (1, 7, 0, 0)},  # DNG
    ],
)
def test_the_thumbnail_in_a_raw_file_is_not_taken_for_the_photo(tags: dict[int, Any]) -> None:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    error = rejected(encoded(noisy(), "TIFF", tiffinfo=directory))
    assert str(error.reason) == "Unsupported"
    assert "raw file" in error.message


def test_a_tiff_of_several_sizes_is_no_raw_file() -> None:
    pages = [noisy(), noisy().reduce(2)]
    assert decode(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), LIMITS).size == pages[0].size


def test_changed_bytes_end_in_an_image_or_a_reason() -> None:
    random = np.random.RandomState(0)
    for data in FILES.values():
        for _ in range(60):
            broken = bytearray(data)
            for place in random.randint(0, min(len(data), 600 if random.rand() < 0.5 else len(data)), 3):
                broken[place] = random.randint(256)
            try:
                decode(bytes(broken), LIMITS).load()
            except ImageRejected as error:
                assert error.message  # noqa: PT017 - some give an image after all


def large_jpeg(width: int, height: int, *, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 30)).save(buffer, "JPEG", progressive=progressive, subsampling=2)
    return buffer.getvalue()


def endless_jpeg(width: int, height: int) -> bytes:
    """A JPEG of `scene` in each 16 rows, made of one such strip and restart markers: in milliseconds, of any height."""
    strip = encoded(scene(width, 16), "JPEG", quality=90, subsampling=2, restart_marker_rows=1)
    frame, scan = strip.index(b"\xff\xc0"), strip.index(b"\xff\xda")
    body = scan + 2 + int.from_bytes(strip[scan + 2 : scan + 4], "big")
    head = strip[: frame + 5] + height.to_bytes(2, "big") + strip[frame + 7 : body]
    rows = -(-height // 16)
    # Each strip is followed by its restart marker, the last one by the image's end.
    data = b"".join(strip[body:-2] + bytes([0xFF, 0xD0 + row % 8]) for row in range(rows - 1))
    return head + data + strip[body:]


@pytest.mark.parametrize(("width", "height"), [(12_000, 9_000), (16_320, 12_240)])
def test_jpegs_of_108_and_200_megapixels_are_embedded_as_they_come(width: int, height: int) -> None:
    data = endless_jpeg(width, height)
    assert JpegImagePlugin.jpeg_factory(io.BytesIO(data), "").size == (width, height)
    pixels = prepare(data, DecodeLimits(), "standard-1")
    # Red grows to the right, as in `scene`.
    assert pixels[112, 200, 0] > pixels[112, 20, 0] + 100
    with pytest.raises(ImageRejected, match="max_image_pixels is 1,000,000") as caught:
        prepare(data, DecodeLimits(pixels=1_000_000), "standard-1")
    assert caught.value.reason == "TooLarge"


def test_a_photo_of_108_megapixels_is_judged_by_what_is_decoded_of_it() -> None:
    limits = DecodeLimits(pixels=64_000_000)
    data = large_jpeg(12_000, 9_000, progressive=False)
    assert prepare(data, limits, "standard-1").shape == (224, 224, 3)
    assert "12000 x 9000 = 108,000,000 pixels; max_image_pixels is 64,000,000." in rejected(data, limits).message
    # A progressive one needs its coefficients whole: 3 bytes a pixel in 4:2:0.
    progressive = large_jpeg(6_000, 4_500, progressive=True)
    needed = 750 * 563 + 2 * 6_000 * 4_500 * 6 // 4 // 12
    assert decode_fast(progressive, DecodeLimits(pixels=needed), short_side=448).rgb is not None
    with pytest.raises(ImageRejected, match=r"as much memory as 7,172,250 as it has to be decoded"):
        decode_fast(progressive, DecodeLimits(pixels=needed - 1), short_side=448)
