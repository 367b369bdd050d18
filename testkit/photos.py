"""Photos for the benchmarks, made from the pictures that scikit-image ships: the same bytes each time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

PICTURES: Final = (
    *("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("ihc.png", "motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
)
SIZE: Final = (800, 600)
GRID: Final = 2
"""A photo is GRID x GRID pieces: most of the pictures are smaller than a photo, and enlarged ones decode too fast."""
MOST_ENLARGED: Final = 1.4


def make_photos(pictures: Path, folder: Path, count: int) -> None:
    """Write `count` JPEGs of 800 x 600 from the `pictures` to `folder`, unless it holds so many already."""
    if folder.is_dir() and len(list(folder.iterdir())) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    sources = [Image.open(pictures / name).convert("RGB") for name in PICTURES]
    choose = random.Random(count)
    # What a camera's sensor adds; without it a photo has half the bytes of a real one.
    noise = np.random.default_rng(0).standard_normal((2 * SIZE[1], 2 * SIZE[0], 1)).astype(np.float32)
    for number in range(count):
        left, top = choose.randrange(SIZE[0]), choose.randrange(SIZE[1])
        part = noise[top : top + SIZE[1], left : left + SIZE[0]]
        pixels = np.asarray(_mosaic(sources, choose), np.float32) + choose.uniform(0.5, 2.0) * part
        photo = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        subsampling = "4:4:4" if number % 4 == 0 else "4:2:0"
        photo.save(folder / f"{number:04d}.jpg", "JPEG", quality=choose.choice((85, 90, 92)), subsampling=subsampling)


def make_huge_photos(folder: Path, count: int) -> None:
    """Write JPEGs and PNGs of 50 megapixels (8192 x 6144) to `folder`, `count` of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels).resize((8192, 6144), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:04d}.jpg", "JPEG", quality=90)
        photo.save(folder / f"{number:04d}.png", "PNG", compress_level=1)


def make_tiny_photos(folder: Path, count: int) -> None:
    """Write `count` JPEGs of 32 x 32 to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.jpg", "JPEG", quality=90)


def _mosaic(sources: list[Image.Image], choose: random.Random) -> Image.Image:
    photo = Image.new("RGB", SIZE)
    width, height = SIZE[0] // GRID, SIZE[1] // GRID
    for column in range(GRID):
        for row in range(GRID):
            photo.paste(_piece(choose.choice(sources), width, height, choose), (column * width, row * height))
    return photo


def _piece(source: Image.Image, width: int, height: int, choose: random.Random) -> Image.Image:
    """A random part of `source`, its sides as `width` to `height`, enlarged no more than MOST_ENLARGED."""
    largest = min(source.width / width, source.height / height)
    scale = choose.uniform(min(largest, max(1 / MOST_ENLARGED, largest / 2)), largest)
    left = choose.uniform(0, source.width - width * scale)
    top = choose.uniform(0, source.height - height * scale)
    box = (left, top, left + width * scale, top + height * scale)
    return source.resize((width, height), Image.Resampling.LANCZOS, box=box)
