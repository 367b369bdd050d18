"""The gallery: a contact sheet in one file, each photo with its nearest neighbours."""

from __future__ import annotations

import base64
import io
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader
from PIL import Image, ImageOps

from stepvec.neighbours.exact import nearest_others
from stepvec.runs.images import IMAGE_FORMATS
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport

MAX_PHOTOS: Final = 400
"""Most photos that a gallery shows: it is one file, some 6 KB a photo."""
NEIGHBOURS: Final = 5
THUMBNAIL_PIXELS: Final = 160
_THREADS: Final = 2


def write_gallery(
    path: Path,
    *,
    photos: dict[str, Path],
    keys: list[str],
    vectors: npt.NDArray[np.float32],
    report: RunReport,
    failures: list[ImageFailure],
) -> None:
    """Write the gallery of the photos whose `keys` have `vectors`; `photos` says where each key's file is."""
    order = sorted(range(len(keys)), key=lambda position: keys[position])[:MAX_PHOTOS]
    shown, matrix = [keys[position] for position in order], vectors[order]
    with ThreadPoolExecutor(_THREADS) as pool:
        thumbnails = list(pool.map(lambda key: _thumbnail(photos[key]), shown))
    neighbours, cosines = nearest_others(matrix, NEIGHBOURS)
    data: list[dict[str, Any]] = [
        {
            "key": key,
            "image": thumbnail,
            "near": [[int(index), round(float(cosine), 3)] for index, cosine in zip(near, cosine_of_near, strict=True)],
        }
        for key, thumbnail, near, cosine_of_near in zip(shown, thumbnails, neighbours, cosines, strict=True)
    ]
    templates = Environment(loader=PackageLoader("local_pipeline"), autoescape=True)
    page = templates.get_template("gallery.html").render(
        report=report, photos=data, failures=failures, hidden=len(keys) - len(shown), nonce=secrets.token_urlsafe(16)
    )
    path.write_text(page, encoding="utf-8")


def _thumbnail(path: Path) -> str:
    """The photo as a data URI; a grey square for one that is gone by now, or that only the worker's decoders read."""
    try:
        flat = _square(path)
    except OSError:
        flat = Image.new("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), "lightgrey")
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _square(path: Path) -> Image.Image:
    with Image.open(path, formats=IMAGE_FORMATS) as image:
        image.draft("RGB", (THUMBNAIL_PIXELS * 2, THUMBNAIL_PIXELS * 2))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            # Pillow clips 16 bits when it converts; the eye wants the upper 8.
            upright = upright.point(lambda value: value / 256).convert("L")
        square = ImageOps.fit(upright.convert("RGBA"), (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        flat = Image.new("RGB", square.size, "white")
        flat.paste(square, mask=square.getchannel("A"))
    return flat
