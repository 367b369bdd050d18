"""What misses pixels is refused, by whatever bytes stand in their place; what misses none is embedded."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from stepvec_worker.images.decoding import DecodeLimits, decode, decode_fast
from stepvec_worker.images.jpeg_scan import judge_scan
from stepvec_worker.images.jpeg_structure import segments
from stepvec_worker.images.preprocessing import DECODED_SHORT_SIDE, prepare
from stepvec_worker.images.rejection import ImageRejected

from stepvec.runs.outcome import FailureReason
from tests.worker.pictures import encoded, photos, scene

LIMITS = DecodeLimits()
EMBEDDED = "embedded"


def noisy(width: int = 640, height: int = 480, mode: str = "RGB") -> Image.Image:
    """The scene with detail in every block."""
    noise = np.random.RandomState(3).normal(0, 20, (height, width, 3))
    pixels = np.clip(np.asarray(scene(width, height)) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


JPEGS = {
    "4:2:0": encoded(noisy(), "JPEG", quality=90),
    "4:4:4": encoded(noisy(), "JPEG", quality=90, subsampling=0),
    "grey": encoded(noisy(mode="L"), "JPEG", quality=90),
    "optimised": encoded(noisy(), "JPEG", quality=90, optimize=True),
    "restart markers": encoded(noisy(), "JPEG", quality=90, restart_marker_rows=1),
    "progressive": encoded(noisy(), "JPEG", quality=90, progressive=True),
    "CMYK": encoded(noisy(mode="CMYK"), "JPEG", quality=90),
    "phone": encoded(noisy(), "MPO", quality=90, save_all=True, append_images=[scene()]),
}


def outcome(data: bytes) -> str:
    """EMBEDDED or the reason, which both decoders must agree on."""
    found = []
    for is_fast in (True, False):
        try:
            if is_fast:
                prepare(data, LIMITS, "standard-1")
            else:
                decode(data, LIMITS, short_side=DECODED_SHORT_SIDE)
            found.append(EMBEDDED)
        except ImageRejected as rejected:
            found.append(str(rejected.reason))
    assert found[0] == found[1]
    return found[0]


def first_picture(data: bytes) -> tuple[int, int]:
    """Where the data of a JPEG's first scan begins, and where its end marker is."""
    *_, scan = segments(data)
    return scan.end, data.index(b"\xff\xd9", scan.end)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("form", JPEGS)
def test_a_jpeg_without_its_later_part_is_truncated_whatever_stands_there(form: str, share: float) -> None:
    whole = JPEGS[form]
    start, end = first_picture(whole)
    kept = whole[: start + int((end - start) * share)]
    gone = end - len(kept)
    for rest in (b"", bytes(gone), bytes(gone) + b"\xff\xd9", b"\xff" * gone, b"\x55" * gone, bytes(gone + 100_000)):
        assert outcome(kept + rest) == "Truncated", (rest[:2], len(rest))
    assert outcome(kept + random.Random(1).randbytes(gone)) in ("Truncated", "Damaged")


@pytest.mark.parametrize("form", JPEGS)
def test_a_jpeg_that_misses_no_pixel_is_embedded(form: str) -> None:
    whole = JPEGS[form]
    _, end = first_picture(whole)
    expected, first = prepare(whole, LIMITS, "standard-1"), next(segments(whole)).end
    for data in (
        whole[:end],  # python-pillow/Pillow#4414
        whole[: end + 1],
        whole[:end] + bytes(5_000),
        whole + bytes(5_000),
        whole + b"a film, or a second picture" * 100,
        whole[:end] + b"\xff\xff" + whole[end:],
        whole[:first] + b"\0\0\0" + whole[first:],  # between two segments of the header
    ):
        np.testing.assert_array_equal(prepare(data, LIMITS, "standard-1"), expected)
        assert outcome(data) == EMBEDDED


@pytest.mark.parametrize("form", ["4:2:0", "4:4:4", "grey", "optimised", "CMYK"])
@pytest.mark.parametrize("junk", [b"\0", b"\x01\x02", b"\0" * 50, b"padding of a camera"])
def test_bytes_between_the_last_block_and_the_end_marker_cost_nothing(form: str, junk: bytes) -> None:
    whole = JPEGS[form]
    _, end = first_picture(whole)
    data = whole[:end] + junk + whole[end:]
    if len(junk) > 4:  # fewer, libjpeg may have read ahead
        with pytest.raises(ValueError, match="extraneous"):
            simplejpeg.decode_jpeg(data, "CMYK" if form == "CMYK" else "RGB")
    assert outcome(data) == EMBEDDED


@pytest.mark.parametrize("form", ["4:2:0", "4:4:4", "grey", "restart markers", "progressive", "CMYK"])
def test_a_hole_of_200_zeros_is_damaged(form: str) -> None:
    whole = JPEGS[form]
    start, end = first_picture(whole)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        at = start + int((end - start) * share)
        assert outcome(whole[:at] + bytes(200) + whole[at + 200 :]) == "Damaged", share


def test_zeros_that_are_a_flat_area_are_no_hole() -> None:
    flat = Image.new("RGB", (4_000, 3_000), "white")
    flat.paste(noisy(100, 100), (50, 50))
    data = encoded(flat, "JPEG", optimize=True)
    assert bytes(64) in data[first_picture(data)[0] :]
    assert outcome(data) == EMBEDDED


def test_blocks_that_have_slipped_are_damaged_however_few_bytes_are_left_over() -> None:
    """A bit that flips where libjpeg sees at most "extraneous bytes", as a webcam writes them."""
    whole, generator, seen = JPEGS["4:2:0"], random.Random(0), 0
    start, end = first_picture(whole)
    for _ in range(400):
        broken = bytearray(whole)
        broken[generator.randrange(start, end)] ^= 1 << generator.randrange(8)
        if "extraneous" in first_warning(bytes(broken)):
            seen += 1
            assert outcome(bytes(broken)) == "Damaged"
    assert seen > 5


def first_warning(data: bytes) -> str:
    try:
        simplejpeg.decode_jpeg(data)
    except ValueError as error:
        return str(error)
    return ""


def test_real_photos_are_whole_and_their_parts_are_not() -> None:
    for path in photos(every=40):
        data = path.read_bytes()
        verdict = judge_scan(data)
        assert verdict is not None
        assert verdict.is_whole, path.name
        _, end = first_picture(data)
        assert outcome(data) == outcome(data[:end]) == EMBEDDED
        for kept in (end // 2, int(end * 0.97)):
            assert outcome(data[:kept]) == outcome(data[:kept] + bytes(end - kept)) == "Truncated"


def test_a_progressive_jpeg_that_ends_between_two_scans_is_truncated() -> None:
    whole = JPEGS["progressive"]
    scans = [at for at in range(len(whole)) if whole.startswith(b"\xff\xc4", at) or whole.startswith(b"\xff\xda", at)]
    for at in scans[6:]:
        assert outcome(whole[:at]) == "Truncated"
    # An encoder may leave refinements out: then it writes an end marker.
    last = whole.rindex(b"\xff\xc4")
    assert outcome(whole[:last] + b"\xff\xd9") == EMBEDDED


def test_a_jpeg_without_one_of_its_colours_is_damaged() -> None:
    """Three scans, a component each: libjpeg decodes two of them without a word, in wrong colours."""
    parts = separate_scans(JPEGS["progressive"])
    assert outcome(b"".join(parts)) == EMBEDDED
    assert outcome(b"".join(parts[:-2]) + b"\xff\xd9") == "Damaged"


def separate_scans(progressive: bytes) -> list[bytes]:
    """Header and DC scans of a progressive JPEG, made to be one scan for each component; then the end marker."""
    header = bytearray()
    for segment in segments(progressive):
        if segment.marker == 0xDA:
            break
        if segment.marker != 0xC4:
            header += progressive[segment.at : segment.end]
    frame = header.index(b"\xff\xc2")
    header[frame + 1] = 0xC0
    header[frame + 5 : frame + 9] = struct.pack(">HH", 8, 8)
    for component in range(3):
        header[frame + 11 + 3 * component] = 0x11
    # One table of two code words: DC size 0 and end of block are both "0".
    table = bytes([1, *[0] * 15, 0])
    tables = b"\xff\xc4" + struct.pack(">H", 2 + 2 * 18) + b"\x00" + table + b"\x10" + table
    scans = [b"\xff\xda\0\x08\x01" + bytes([number, 0x00]) + b"\0\x3f\0" + b"\x3f" for number in (1, 2, 3)]
    return [b"\xff\xd8" + bytes(header) + tables, *scans, b"\xff\xd9"]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_judge_knows_every_block_of_a_whole_picture(mode: str) -> None:
    forms: list[dict[str, Any]] = [{}, {"subsampling": 0}, {"subsampling": 1}, {"optimize": True}]
    for options in (*forms, {"restart_marker_blocks": 3}):
        for width, height in ((640, 480), (33, 17), (1, 1), (700, 1)):
            verdict = judge_scan(encoded(noisy(width, height, mode), "JPEG", quality=85, **options))
            assert verdict is not None
            assert verdict.is_whole, (mode, options, width, height, verdict)


def other_formats() -> Iterator[tuple[str, bytes]]:
    forms: dict[str, dict[str, Any]] = {
        "PNG": {}, "GIF": {}, "BMP": {}, "TIFF": {}, "WEBP": {}, "WEBP lossless": {"lossless": True},
        "TIFF lzw": {"compression": "tiff_lzw"}, "TIFF deflate": {"compression": "tiff_adobe_deflate"},
    }  # fmt: skip
    for name, options in forms.items():
        yield name, encoded(noisy(200, 150), name.split()[0], **options)


OTHERS = dict(other_formats())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("form", OTHERS)
def test_other_formats_that_break_off_are_truncated(form: str, share: float) -> None:
    whole = OTHERS[form]
    kept = whole[: int(len(whole) * share)]
    assert outcome(kept) == "Truncated"
    if form not in ("BMP", "TIFF"):  # black is a colour there
        assert outcome(kept + bytes(len(whole) - len(kept))) == "Truncated"


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "TIFF lzw", "TIFF deflate"])
def test_a_hole_in_other_formats_is_damaged(form: str) -> None:
    whole = OTHERS[form]
    for share in (0.2, 0.4, 0.6, 0.8):
        at = int(len(whole) * share)
        assert outcome(whole[:at] + bytes(200) + whole[at + 200 :]) in ("Damaged", "Truncated"), share


@pytest.mark.parametrize("form", OTHERS)
def test_what_lies_behind_a_picture_costs_nothing(form: str) -> None:
    assert outcome(OTHERS[form] + bytes(500)) == EMBEDDED


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("method", [0, 4, 6])
def test_a_webp_needs_all_its_bytes(quality: int, method: int) -> None:
    for picture in (noisy(300, 200), Image.new("RGB", (1_000, 800), "white"), scene(300, 200)):
        for lossless in (False, True):
            data = encoded(picture, "WEBP", quality=quality, method=method, lossless=lossless)
            assert outcome(data) == EMBEDDED
            assert outcome(encoded(picture.convert("RGBA"), "WEBP", quality=quality, exif=b"Exif\0\0II*\0")) == EMBEDDED


def test_a_png_without_its_end_is_whole() -> None:
    assert outcome(OTHERS["PNG"][:-12]) == EMBEDDED
    assert outcome(OTHERS["PNG"][:-16]) == EMBEDDED


def test_an_object_compressed_by_gzip_is_unpacked_within_the_limit() -> None:
    packed = gzip.compress(JPEGS["4:2:0"])
    assert outcome(packed) == EMBEDDED
    assert outcome(packed[:-9]) == "Truncated"
    assert outcome(gzip.compress(b"")) == "Empty"
    assert outcome(gzip.compress(b"text")) == "NotAnImage"
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    assert outcome(bytes(broken)) == "Damaged"
    with pytest.raises(ImageRejected) as caught:
        decode_fast(gzip.compress(bytes(10_000_000)), DecodeLimits(bytes=1_000_000))
    assert caught.value.reason is FailureReason.TOO_LARGE
    limits = DecodeLimits(bytes=len(JPEGS["4:2:0"]))
    assert decode_fast(packed, limits).size == (640, 480)


def test_a_flipped_bit_in_a_deflated_strip_is_damaged() -> None:
    """libtiff has all the rows before it comes to zlib's checksum."""
    raw = np.asarray(noisy(64, 64)).tobytes()
    stored = zlib.compress(raw, 0)
    whole = encoded(noisy(64, 64), "TIFF", compression="tiff_adobe_deflate")
    with Image.open(io.BytesIO(whole)) as image:
        assert image.tag_v2.get(317, 1) == 1  # type: ignore[attr-defined]
    moved = bytearray(whole + stored)
    for tag, value in ((273, len(whole)), (279, len(stored))):
        at = max(moved.find(struct.pack("<HHI", tag, kind, 1)) for kind in (3, 4))
        moved[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    assert outcome(bytes(moved)) == EMBEDDED
    moved[len(whole) + 200] ^= 1
    assert outcome(bytes(moved)) == "Damaged"
