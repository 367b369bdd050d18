"""Pictures and photos for benchmarks, fault runs and tests: the same bytes each time.

`picture` draws small ones from nothing; the rest is made of real photos, those that scikit-image ships (`make
build/photos`) or the 800 of clothes that may lie beside the checkout.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from stepvec.errors import ConfigurationError

ROOT: Final = Path(__file__).resolve().parent.parent
CLOTHING: Final = ROOT.parent / "shared" / "data" / "clothing"
SCIKIT_IMAGE: Final = ROOT / "build" / "photos" / "skimage" / "data"
_PHOTOS_OF_SCIKIT_IMAGE: Final = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png"),
    *("retina.jpg", "rocket.jpg"),
)
_PICTURES_OF_SCIKIT_IMAGE: Final = (
    *("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("ihc.png", "motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
)

PHOTO_SIZE: Final = (800, 600)
_GRID: Final = 2
"""A photo is 2 x 2 pieces: most of the pictures are smaller than a photo, and enlarged ones decode too fast."""
_MAX_ENLARGED: Final = 1.4
_QUALITIES: Final = (80, 90, 95)
_SMALL_SIDES: Final = (96, 160)
_KEPT_SIDE: Final = 480
_KEPT_PHOTOS: Final = 100
"""About so many photos are held in memory, half a megabyte each."""


def picture(number: int, *, size: tuple[int, int] = (96, 72)) -> bytes:
    """A JPEG of smooth colours, the same one for the same number, and no two with nearly the same vector."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return as_jpeg(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), 75)


def etag_of(data: bytes) -> str:
    """S3's ETag of an object that was put in one part."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def as_jpeg(image: Image.Image, quality: int = 90, *, is_progressive: bool = False) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, progressive=is_progressive)
    return buffer.getvalue()


def real_photos() -> list[Path]:
    """The clothing photos where they lie beside the checkout, else scikit-image's. Raises ConfigurationError."""
    photos = sorted(CLOTHING.glob("*/*.jpg"))
    photos = photos or [SCIKIT_IMAGE / name for name in _PHOTOS_OF_SCIKIT_IMAGE if (SCIKIT_IMAGE / name).exists()]
    if not photos:
        raise ConfigurationError("There are no photos here.", remedy="Run `make build/photos`.")
    return photos


def make_photos(folder: Path, count: int) -> None:
    """Write `count` JPEGs of PHOTO_SIZE from scikit-image's pictures to `folder`, unless it holds so many already."""
    if folder.is_dir() and len(list(folder.iterdir())) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    sources = [Image.open(SCIKIT_IMAGE / name).convert("RGB") for name in _PICTURES_OF_SCIKIT_IMAGE]
    choose = random.Random(count)
    # What a camera's sensor adds; without it a photo has half the bytes of a real one.
    noise = np.random.default_rng(0).standard_normal((2 * PHOTO_SIZE[1], 2 * PHOTO_SIZE[0], 1)).astype(np.float32)
    for number in range(count):
        left, top = choose.randrange(PHOTO_SIZE[0]), choose.randrange(PHOTO_SIZE[1])
        part = noise[top : top + PHOTO_SIZE[1], left : left + PHOTO_SIZE[0]]
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


def small_photos(count: int, seed: int) -> Iterator[bytes]:
    """`count` JPEGs of 2 to 6 KB, cut out of real photos, each another one; the same for the same seed and photos."""
    photos, generator, seen = _scaled_down(real_photos()), random.Random(seed), set[str]()
    while len(seen) < count:
        photo = photos[len(seen) % len(photos)]
        width, height = (generator.randint(*_SMALL_SIDES) for _ in range(2))
        scale = generator.uniform(1.0, min(photo.width / width, photo.height / height))
        box_width, box_height = width * scale, height * scale
        left, top = generator.uniform(0, photo.width - box_width), generator.uniform(0, photo.height - box_height)
        data = as_jpeg(photo.resize((width, height), box=(left, top, left + box_width, top + box_height)), 75)
        if etag_of(data) not in seen:
            seen.add(etag_of(data))
            yield data


def _scaled_down(paths: Sequence[Path]) -> list[Image.Image]:
    photos: list[Image.Image] = []
    for path in paths[:: max(1, len(paths) // _KEPT_PHOTOS)]:
        with Image.open(path) as image:
            photo = image.convert("RGB")
        photo.thumbnail((_KEPT_SIDE, _KEPT_SIDE))
        if min(photo.size) >= _SMALL_SIDES[1]:
            photos.append(photo)
    return photos


def enlarged(
    path: Path, width: int, height: int, random: np.random.RandomState, *, noise_levels: float = 4.0
) -> Image.Image:
    """The photo at another size, with a camera's noise: without it, nothing would be finer than the photo was."""
    image = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    noise = random.normal(0, noise_levels, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def enlarged_jpegs(photos: Sequence[Path], count: int, shortest: int, longest: int) -> Iterator[bytes]:
    """`count` photos, one after the other, each at a short side drawn between the two (evenly by its logarithm)."""
    random = np.random.RandomState(7)
    for number in range(count):
        path = photos[number % len(photos)]
        with Image.open(path) as image:
            scale = _drawn(random, shortest, longest) / min(image.size)
            width, height = round(image.width * scale), round(image.height * scale)
        yield as_jpeg(enlarged(path, width, height, random), int(random.choice(_QUALITIES)))


def mosaic_jpegs(photos: Sequence[Path], count: int, shortest: int, longest: int) -> Iterator[bytes]:
    """`count` mosaics of photos at their own size, of a short side as above: as much detail as a photo can have."""
    random = np.random.RandomState(8)
    tile_width, tile_height = 400, 533
    for number in range(count):
        width = _drawn(random, shortest, longest)
        height = round(width * tile_height / tile_width)
        tiles = -(-width // tile_width)
        mosaic = Image.new("RGB", (tiles * tile_width, tiles * tile_height))
        for place in range(tiles * tiles):
            tile = Image.open(photos[(number * 7 + place) % len(photos)]).convert("RGB")
            row, column = divmod(place, tiles)
            mosaic.paste(tile.resize((tile_width, tile_height)), (column * tile_width, row * tile_height))
        left, top = (mosaic.width - width) // 2, (mosaic.height - height) // 2
        yield as_jpeg(mosaic.crop((left, top, left + width, top + height)), int(random.choice(_QUALITIES)))


def _mosaic(sources: list[Image.Image], choose: random.Random) -> Image.Image:
    photo = Image.new("RGB", PHOTO_SIZE)
    width, height = PHOTO_SIZE[0] // _GRID, PHOTO_SIZE[1] // _GRID
    for column in range(_GRID):
        for row in range(_GRID):
            photo.paste(_piece(choose.choice(sources), width, height, choose), (column * width, row * height))
    return photo


def _piece(source: Image.Image, width: int, height: int, choose: random.Random) -> Image.Image:
    """A random part of `source`, its sides as `width` to `height`, enlarged no more than _MAX_ENLARGED."""
    largest = min(source.width / width, source.height / height)
    scale = choose.uniform(min(largest, max(1 / _MAX_ENLARGED, largest / 2)), largest)
    left = choose.uniform(0, source.width - width * scale)
    top = choose.uniform(0, source.height - height * scale)
    box = (left, top, left + width * scale, top + height * scale)
    return source.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _drawn(random: np.random.RandomState, shortest: int, longest: int) -> int:
    return round(float(np.exp(random.uniform(np.log(shortest), np.log(longest)))))
