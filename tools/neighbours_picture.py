"""Draws docs/images/neighbours.jpg from the demo's results: `make neighbours-picture`.

Four rows of a gallery: a photo, then its nearest by cosine. Of each folder it is the photo with most neighbours of its
own kind, and among those with the closest; of the folders, the best four. The gallery itself has all photos.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont, ImageOps

from local_pipeline.installation import ROOT
from local_pipeline.photos import PREFIX
from stepvec.neighbours.exact import nearest_others

RESULTS: Final = ROOT / "stepvec-out" / "vectors.parquet"
PHOTOS: Final = ROOT / "photos"
PICTURE: Final = ROOT / "docs" / "images" / "neighbours.jpg"
ROWS, NEIGHBOURS = 4, 5
SIDE, GAP, WORDS, ASIDE = 150, 10, 26, 22
"""Pixels: a photo, between photos, the line under it, between the first and its neighbours."""


def main() -> None:
    """Draw the picture from the vectors that the demo wrote."""
    table = pq.read_table(RESULTS)
    keys = table["key"].to_pylist()
    neighbours, cosines = nearest_others(np.array(table["vector"].to_pylist(), np.float32), NEIGHBOURS)
    folders = [PurePosixPath(key).parent for key in keys]
    of_its_kind = [sum(folders[near] == folders[photo] for near in neighbours[photo]) for photo in range(len(keys))]
    best: dict[PurePosixPath, int] = {}
    for photo in sorted(range(len(keys)), key=lambda photo: (-of_its_kind[photo], -cosines[photo].mean())):
        best.setdefault(folders[photo], photo)
    width = ASIDE + (NEIGHBOURS + 1) * (SIDE + GAP) + GAP
    picture = Image.new("RGB", (width, ROWS * (SIDE + WORDS + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=15)
    for row, photo in enumerate(list(best.values())[:ROWS]):
        top = GAP + row * (SIDE + WORDS + GAP)
        shown = [(photo, PurePosixPath(keys[photo]).name)]
        shown += [(int(near), f"{cosine:.2f}") for near, cosine in zip(neighbours[photo], cosines[photo], strict=True)]
        for column, (place, words) in enumerate(shown):
            left = GAP + column * (SIDE + GAP) + (ASIDE if column else 0)
            picture.paste(_square(PHOTOS / keys[place].removeprefix(PREFIX)), (left, top))
            draw.text((left + 1, top + SIDE + 4), words, "#555", font)
    picture.save(PICTURE, quality=85, optimize=True)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KB")


def _square(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.fit(ImageOps.exif_transpose(photo).convert("RGB"), (SIDE, SIDE))


if __name__ == "__main__":
    main()
