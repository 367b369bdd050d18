"""CPU time of decoding and preprocessing a JPEG, and what decoding it smaller does to the vectors.

In the worker's environment: `PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.decoding`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# One thread, as in the worker; numpy and MXNet read it when they load.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import mxnet
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits, decode, decode_fast
from stepvec_worker.images.jpeg import jpeg_scale
from stepvec_worker.images.preprocessing import DECODED_SHORT_SIDE, pixel_format, prepare, preprocess

from testkit.photos import ROOT, as_jpeg, enlarged, enlarged_jpegs, mosaic_jpegs, real_photos
from testkit.tables import markdown_table, write_section

SIZES: Final = {"256 x 256": (256, 256), "800 x 600": (800, 600), "1600 x 1200": (1600, 1200), "24 MP": (4000, 6000)}
SECONDS_EACH: Final = 1.5
SHORT_SIDES: Final = (256, 320, 384, 448, 512)
LIMITS: Final = DecodeLimits()
Way = Callable[[bytes], Any]


def _full(data: bytes) -> Any:
    decoded = decode_fast(data, LIMITS)
    return preprocess(decoded.image, "standard-1", rgb=decoded.rgb)


def _by_pillow(data: bytes) -> Any:
    return preprocess(decode(data, LIMITS, short_side=DECODED_SHORT_SIDE), "standard-1")


def _all_by_pillow(data: bytes) -> Any:
    """standard-1 as it was before: Pillow's draft to twice the final size, Pillow's resize."""
    image = decode(data, LIMITS, short_side=512)
    side = min(image.size) * 224 / 256
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0))


def _original(data: bytes) -> Any:
    """The original sample's calls."""
    image = mxnet.nd.array(decode(data, LIMITS).convert("RGB"))
    resized = mxnet.image.resize_short(image, 224).astype("float32")
    return mxnet.image.center_crop(resized, (224, 244))[0].asnumpy()


WAYS: Final[dict[str, Way]] = {
    "standard-1": lambda data: prepare(data, LIMITS, "standard-1"),
    "standard-1, decoded by Pillow (the fallback)": _by_pillow,
    "standard-1, decoded whole": _full,
    "Pillow alone, draft to 512, its resize": _all_by_pillow,
    "sample-1": lambda data: prepare(data, LIMITS, "sample-1"),
    "the original sample's calls (MXNet)": _original,
}


def cpu_milliseconds(pictures: list[bytes]) -> dict[str, float]:
    """Median CPU ms a picture of each way. The ways take turns, so that a busy machine is unfair to none."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    end = time.perf_counter() + SECONDS_EACH * len(WAYS)
    while time.perf_counter() < end or len(taken["standard-1"]) < 3:
        for name, way in WAYS.items():
            start = time.process_time()
            for picture in pictures:
                way(picture)
            taken[name].append((time.process_time() - start) / len(pictures) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def timings() -> str:
    """The table of CPU times."""
    random = np.random.RandomState(0)
    photos = real_photos()
    photos = photos[:: -(-len(photos) // 3)]
    columns = {
        name: cpu_milliseconds([as_jpeg(enlarged(path, *size, random, noise_levels=2.0), 88) for path in photos])
        for name, size in SIZES.items()
    }
    rows = [[way, *(f"{columns[size][way]:.2f}" for size in SIZES)] for way in WAYS]
    return markdown_table(["CPU ms an image", *SIZES], rows)


@dataclass
class Cosines:
    """Of the vectors of scaled to those of full decoding, by least short side; photos decoded whole are not in it."""

    photos: int = 0
    by_short_side: dict[int, list[float]] = field(default_factory=lambda: {side: [] for side in SHORT_SIDES})
    different_pixels: int = 0
    """Photos of which Pillow and the fast decoder gave different pixels, at any scale."""


def measure_cosines(jpegs: Iterable[bytes], model: Path) -> Cosines:
    """Embeds each JPEG at each scale that some candidate takes."""
    embedder = load_embedder(model, "cpu", pixel_format("standard-1"), batch_size=4)
    result = Cosines()
    for jpeg in jpegs:
        size = Image.open(io.BytesIO(jpeg)).size
        scales = {side: jpeg_scale(size, side) for side in SHORT_SIDES}
        # Of each scale, one short side that gives it.
        sides: dict[int, int | None] = {1: None} | {scale: side for side, scale in scales.items() if scale > 1}
        pixels = [_pixels(jpeg, side, result) for side in sides.values()]
        vectors = dict(zip(sides, _unit(embedder.embed(pixels)), strict=True))
        result.photos += 1
        for side, scale in scales.items():
            if scale > 1:
                result.by_short_side[side].append(float(vectors[1] @ vectors[scale]))
    return result


def _pixels(jpeg: bytes, short_side: int | None, result: Cosines) -> NDArray[np.uint8]:
    fast = decode_fast(jpeg, LIMITS, short_side=short_side)
    if fast.rgb is None:
        raise ValueError("the fast decoder left a good JPEG to Pillow")
    pixels = preprocess(fast.image, "standard-1", rgb=fast.rgb)
    by_pillow = preprocess(decode(jpeg, LIMITS, short_side=short_side), "standard-1")
    result.different_pixels += not np.array_equal(pixels, by_pillow)
    return np.asarray(pixels, np.uint8)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def cosine_table(name: str, cosines: Cosines) -> str:
    """One line a candidate: of how many photos it decodes fewer pixels, and what that does."""
    rows = []
    for side in SHORT_SIDES:
        found = cosines.by_short_side[side]
        if found:
            mark = " (chosen)" if side == DECODED_SHORT_SIDE else ""
            rows.append([f"{side}{mark}", str(len(found)), f"{statistics.mean(found):.5f}", f"{min(found):.5f}"])
    table = markdown_table([f"{name}: least short side", f"scaled of {cosines.photos}", "mean", "worst"], rows)
    return f"{table}\n\nPillow's pixels differ from the fast decoder's in {cosines.different_pixels} of these photos."


_PEAK: Final = """
import json, sys
from pathlib import Path
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import prepare
data, before = Path(sys.argv[1]).read_bytes(), peak_mb()
prepare(data, DecodeLimits(), sys.argv[2])
print(json.dumps(peak_mb() - before))
"""


def memory() -> str:
    """Peak memory of a process over what it had with the file's bytes, for 50 megapixels in forms of the worst kind."""
    picture = enlarged(real_photos()[0], 5773, 8660, np.random.RandomState(0))
    forms: dict[str, Callable[[Path], Any]] = {
        "JPEG": lambda path: path.write_bytes(as_jpeg(picture)),
        "progressive JPEG": lambda path: path.write_bytes(as_jpeg(picture, is_progressive=True)),
        "CMYK JPEG": lambda path: path.write_bytes(as_jpeg(picture.convert("CMYK"))),
        "PNG": lambda path: picture.save(path, "PNG", compress_level=1),
        "PNG with transparency": lambda path: picture.convert("RGBA").save(path, "PNG", compress_level=1),
        "WebP": lambda path: picture.save(path, "WEBP", quality=50, method=0),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write in forms.items():
            path = Path(folder) / "picture"
            write(path)
            peaks = [_peak_megabytes(path, preprocessing) for preprocessing in ("standard-1", "sample-1")]
            rows.append([name, *(f"{peak:.0f}" for peak in peaks)])
    return markdown_table(["50 megapixels: peak MB", "standard-1", "sample-1"], rows)


def _peak_megabytes(path: Path, preprocessing: str) -> float:
    command = [sys.executable, "-c", _PEAK, str(path), preprocessing]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, print, and write the section of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photos", type=int, default=500, help="photos of each kind to take cosines of (0: none)")
    parser.add_argument("--model", type=Path, default=ROOT / "build" / "model")
    options = parser.parse_args()
    parts = []
    for part in _parts(options.photos, options.model):
        parts.append(part)
        print(part, end="\n\n", flush=True)
    write_section("decoding", "\n\n".join(parts))


def _parts(count: int, model: Path) -> Iterator[str]:
    yield timings()
    yield memory()
    if count == 0:
        return
    photos = real_photos()
    for name, jpegs in {
        "Photos enlarged to 512..2048": enlarged_jpegs(photos, count, 512, 2048),
        "Mosaics of 512..2048": mosaic_jpegs(photos, count, 512, 2048),
        "Photos enlarged to 24 MP": enlarged_jpegs(photos, max(1, count // 20), 4240, 4250),
    }.items():
        yield cosine_table(name, measure_cosines(jpegs, model))


if __name__ == "__main__":
    main()
