"""Damage of every kind to photos in every format: which of it is refused, and what is embedded all the same.

    PYTHONPATH=.:worker_image .venv-worker/bin/python -m resilience.damage PHOTOS [--photos N] [--record]

PHOTOS is a folder of JPEGs; every other format is made of the same pictures. Prints a table, a row for a format and a
kind of damage: how many were refused, how much of the picture was gone in those that were embedded, and the cosine of
their vectors to the whole picture's. `--record` writes it into docs/reliability.md. Ends with 1 if a whole file is
refused, or if one that is cut off or filled up is embedded.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pylibjxl
from numpy.typing import NDArray
from PIL import Image
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits, decode
from stepvec_worker.images.preprocessing import pixel_format, prepare
from stepvec_worker.images.rejection import ImageRejected

from testkit.tables import markdown_table, write_section

ROOT: Final = Path(__file__).parent.parent
RELIABILITY: Final = ROOT / "docs" / "reliability.md"
LIMITS: Final = DecodeLimits()
DIFFERENT: Final = 16
"""A pixel is gone if a channel is off by more than so many of 255."""
GONE: Final = 0.01
"""The bar: nothing with a larger part of its pixels gone should be embedded."""
SHARES: Final = (0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
HEADER: Final = 1_000
"""Bytes at the start that are left alone: a damaged header is another matter (`make corpus`)."""
LARGEST: Final = 1_000
"""Sides of the pictures of which other formats are made, in pixels."""

Damage = Callable[[bytes, random.Random], Iterator[bytes]]


def _starts(data: bytes) -> Iterator[int]:
    first = min(HEADER, len(data) // 4)
    yield from (first + int((len(data) - first - 2) * share) for share in SHARES)


def cut(data: bytes, _: random.Random) -> Iterator[bytes]:
    """The rest is missing."""
    yield from (data[:at] for at in _starts(data))


def filled(value: int) -> Damage:
    """One byte stands for the rest, as in a file that was made in its full size and never written."""

    def damage(data: bytes, _: random.Random) -> Iterator[bytes]:
        yield from (data[:at] + bytes([value]) * (len(data) - at) for at in _starts(data))

    return damage


def ended(data: bytes, _: random.Random) -> Iterator[bytes]:
    """Zeros for the rest, but for the last 16 bytes, which are the file's own."""
    yield from (data[:at] + bytes(len(data) - at - 16) + data[-16:] for at in _starts(data) if at < len(data) - 100)


def noise(data: bytes, generator: random.Random) -> Iterator[bytes]:
    """Random bytes for the rest."""
    yield from (data[:at] + generator.randbytes(len(data) - at) for at in _starts(data))


def hole(length: int, *, is_noise: bool = False, is_closed: bool = False) -> Damage:
    """Zeros, or noise, or nothing at all, in the place of `length` bytes."""

    def damage(data: bytes, generator: random.Random) -> Iterator[bytes]:
        for at in _starts(data):
            if at + length < len(data) - 100:
                middle = generator.randbytes(length) if is_noise else b"" if is_closed else bytes(length)
                yield data[:at] + middle + data[at + length :]

    return damage


def shuffled(block: int) -> Damage:
    """Two blocks of a disk have changed places."""

    def damage(data: bytes, generator: random.Random) -> Iterator[bytes]:
        blocks = len(data) // block
        for _ in SHARES[:3]:
            if blocks > 3:
                one, two = sorted(generator.sample(range(1, blocks), 2))
                parts = [data[at * block : (at + 1) * block] for at in range(blocks)]
                parts[one], parts[two] = parts[two], parts[one]
                yield b"".join(parts) + data[blocks * block :]

    return damage


def flipped(bits: int) -> Damage:
    """Single bits have changed."""

    def damage(data: bytes, generator: random.Random) -> Iterator[bytes]:
        for _ in SHARES[:4]:
            broken = bytearray(data)
            for _ in range(bits):
                broken[generator.randrange(min(HEADER, len(data) // 4), len(data))] ^= 1 << generator.randrange(8)
            yield bytes(broken)

    return damage


MUST_BE_REFUSED: Final = {"cut off": cut, "zeros for the rest": filled(0), "0xff for the rest": filled(0xFF)}
DAMAGES: Final[dict[str, Damage]] = MUST_BE_REFUSED | {
    "zeros, then the end": ended,
    "noise for the rest": noise,
    "200 zeros": hole(200),
    "4 KiB of zeros": hole(4_096),
    "200 bytes of noise": hole(200, is_noise=True),
    "4 KiB missing": hole(4_096, is_closed=True),
    "blocks of 512 shuffled": shuffled(512),
    "blocks of 4 KiB shuffled": shuffled(4_096),
    "one bit flipped": flipped(1),
    "ten bits flipped": flipped(10),
}
WITHOUT_A_TELL: Final = frozenset({"BMP", "TIFF"})
"""Formats in which any bytes are pixels: only a file that is too short can be told."""


def _saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def forms(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    """The photo in each format."""
    image = decode(jpeg, LIMITS, short_side=LARGEST // 2).convert("RGB")
    image.thumbnail((LARGEST, LARGEST))
    yield "JPEG", jpeg
    yield "JPEG, progressive", _saved(image, "JPEG", quality=88, progressive=True)
    yield "JPEG, restart markers", _saved(image, "JPEG", quality=88, restart_marker_rows=1)
    yield "PNG", _saved(image, "PNG")
    yield "GIF", _saved(image, "GIF")
    yield "WebP", _saved(image, "WEBP", quality=80)
    yield "WebP, lossless", _saved(image, "WEBP", lossless=True, method=1)
    yield "TIFF, LZW", _saved(image, "TIFF", compression="tiff_lzw")
    yield "TIFF, deflate", _saved(image, "TIFF", compression="tiff_adobe_deflate")
    yield "TIFF", _saved(image, "TIFF")
    yield "BMP", _saved(image, "BMP")
    yield "AVIF", _saved(image, "AVIF", speed=10)
    yield "JPEG XL", bytes(pylibjxl.encode(np.asarray(image), effort=3))


@dataclass
class Row:
    """What became of a kind of damage to a format."""

    tried: int = 0
    refused: int = 0
    gone: tuple[float, ...] = ()
    cosines: tuple[float, ...] = ()

    @property
    def over_the_bar(self) -> int:
        """Embedded with more than GONE of their pixels gone."""
        return sum(gone > GONE for gone in self.gone)


def measure(photos: list[Path], model: Path) -> tuple[dict[tuple[str, str], Row], list[str]]:
    """The table's rows, and the whole files that were refused."""
    embedder = load_embedder(model, "cpu", pixel_format("standard-1"), batch_size=1)

    def vector(data: bytes) -> NDArray[np.float32]:
        (found,) = embedder.embed([prepare(data, LIMITS, "standard-1")])
        return np.asarray(found / np.linalg.norm(found), np.float32)

    rows: defaultdict[tuple[str, str], Row] = defaultdict(Row)
    refused_whole = []
    for number, path in enumerate(photos):
        for form, whole in forms(path.read_bytes()):
            try:
                expected, pixels = vector(whole), _pixels(whole)
            except ImageRejected as error:
                refused_whole.append(f"{path.name} as {form}: {error.message}")
                continue
            for kind, damage in DAMAGES.items():
                row = rows[form, kind]
                for broken in damage(whole, random.Random(f"{number}{form}{kind}")):
                    row.tried += 1
                    try:
                        cosine, found = float(expected @ vector(broken)), _pixels(broken)
                    except ImageRejected:
                        row.refused += 1
                        continue
                    row.gone += (_gone(found, pixels),)
                    row.cosines += (cosine,)
    return dict(rows), refused_whole


def _pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(decode(data, LIMITS).convert("RGB"), np.int16)


def _gone(found: NDArray[np.int16], expected: NDArray[np.int16]) -> float:
    return 1.0 if found.shape != expected.shape else float((np.abs(found - expected).max(2) > DIFFERENT).mean())


def table(rows: dict[tuple[str, str], Row]) -> str:
    """Markdown: a row a kind of damage, a column a format, in each as _cell says."""
    formats = list(dict.fromkeys(form for form, _ in rows))
    return markdown_table(
        ["damage", *formats], [[kind, *(_cell(rows.get((form, kind), Row())) for form in formats)] for kind in DAMAGES]
    )


def _cell(row: Row) -> str:
    """Refused of tried; then, of those embedded over the bar, number, median share gone, and cosine."""
    if not row.tried:
        return ""
    refused = f"{row.refused}/{row.tried}"
    over = [(gone, cosine) for gone, cosine in zip(row.gone, row.cosines, strict=True) if gone > GONE]
    if not over:
        return refused
    gone, cosine = (float(np.median(part)) for part in zip(*over, strict=True))
    return f"{refused}, **{len(over)}** ({gone:.0%}, {cosine:.2f})"


def main() -> None:
    """Read the arguments, measure, print, record."""
    parser = argparse.ArgumentParser(description="Damage photos in every way, and see what is embedded.")
    parser.add_argument("folder", type=Path, help="photos: JPEGs, below it")
    parser.add_argument("--photos", type=int, default=40, help="how many of them")
    parser.add_argument("--model", type=Path, default=ROOT / "build" / "model")
    parser.add_argument("--record", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    found = sorted(options.folder.rglob("*.jpg"))
    photos = found[:: max(1, len(found) // options.photos)][: options.photos]
    rows, refused_whole = measure(photos, options.model)
    text = table(rows)
    print(text)
    wrong = [f"whole, and refused: {one}" for one in refused_whole]
    for (form, kind), row in rows.items():
        if kind in MUST_BE_REFUSED and row.over_the_bar and (kind == "cut off" or form not in WITHOUT_A_TELL):
            wrong.append(f"{form}, {kind}: {row.over_the_bar} of {row.tried} embedded")
    tried = sum(row.tried for row in rows.values())
    summary = f"{len(photos)} photos, {tried:,} damaged files; {len(refused_whole)} whole ones refused."
    print(summary)
    for line in wrong:
        print(f"wrong: {line}")
    if options.record:
        write_section("damage", f"{summary}\n\n{text}", RELIABILITY)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
