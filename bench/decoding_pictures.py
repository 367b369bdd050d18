"""Photos of any size for the decoding benchmarks, made from real ones, always the same."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

ROOT: Final = Path(__file__).resolve().parent.parent
CLOTHING: Final = ROOT.parent / "shared" / "data" / "clothing"
SCIKIT_IMAGE: Final = ROOT / "build" / "photos" / "skimage" / "data"
_SCIKIT_IMAGE_PHOTOS: Final = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
QUALITIES: Final = (80, 90, 95)


def real_photos() -> list[Path]:
    """The 800 clothing photos where they lie beside the checkout, else those of scikit-image (`make build/photos`)."""
    photos = sorted(CLOTHING.glob("*/*.jpg"))
    photos = photos or [SCIKIT_IMAGE / name for name in _SCIKIT_IMAGE_PHOTOS if (SCIKIT_IMAGE / name).exists()]
    if not photos:
        raise SystemExit("There are no photos here. `make build/photos` gets some.")
    return photos


def as_jpeg(image: Image.Image, quality: int = 90, *, is_progressive: bool = False) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, progressive=is_progressive)
    return buffer.getvalue()


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
        yield as_jpeg(enlarged(path, width, height, random), int(random.choice(QUALITIES)))


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
        yield as_jpeg(mosaic.crop((left, top, left + width, top + height)), int(random.choice(QUALITIES)))


def _drawn(random: np.random.RandomState, shortest: int, longest: int) -> int:
    return round(float(np.exp(random.uniform(np.log(shortest), np.log(longest)))))
