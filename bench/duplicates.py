"""Which cosine tells near-duplicates from photos that are only alike: precision and recall on a labelled set.

    .venv/bin/python -m bench.duplicates PHOTOS [--changed 200] [--record]

PHOTOS is a folder of photos with a folder for each kind (dresses, hats, ...): photos of one kind are the hard
negatives. Some of them are changed in each of the WAYS, and must be found again by their vectors, made by the worker's
code with the model in build/model.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from local_pipeline.installation import MODEL_DIRECTORY
from local_pipeline.reembedding import reembedder
from stepvec.neighbours.exact import Floats, unit
from stepvec.weights.model_directory import read_model_card
from testkit.tables import DOCS, markdown_table, write_section

THRESHOLDS: Final = (0.80, 0.85, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98)
DOCUMENT: Final = DOCS / "duplicates.md"


def _saved(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **({"quality": 90} if form == "JPEG" else {}) | options)
    return buffer.getvalue()


def _cropped(image: Image.Image, part: float) -> Image.Image:
    """Without so much of its width and height, a third of it at the left and top."""
    width, height = image.size
    left, top = round(part * width / 3), round(part * height / 3)
    return image.crop((left, top, left + round((1 - part) * width), top + round((1 - part) * height)))


def _marked(image: Image.Image) -> Image.Image:
    """With a word across its lower right quarter."""
    marked = image.copy()
    width, height = image.size
    ImageDraw.Draw(marked).text((width // 2, height * 3 // 4), "SAMPLE", fill="white", font_size=height // 10)
    return marked


def _warmer(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge("RGB", (red.point(lambda v: min(255, v * 1.15)), green, blue.point(lambda v: v * 0.85)))


WAYS: Final[dict[str, Callable[[Image.Image], bytes]]] = {
    "resized to a half": lambda image: _saved(image.resize((image.width // 2, image.height // 2))),
    "resized to a quarter": lambda image: _saved(image.resize((image.width // 4, image.height // 4))),
    "JPEG, quality 50": lambda image: _saved(image, quality=50),
    "JPEG, quality 20": lambda image: _saved(image, quality=20),
    "WebP, quality 70": lambda image: _saved(image, "WEBP", quality=70),
    "cropped by 5 %": lambda image: _saved(_cropped(image, 0.05)),
    "cropped by 10 %": lambda image: _saved(_cropped(image, 0.1)),
    "cropped by 20 %": lambda image: _saved(_cropped(image, 0.2)),
    "a fifth brighter": lambda image: _saved(ImageEnhance.Brightness(image).enhance(1.2)),
    "warmer": lambda image: _saved(_warmer(image)),
    "grey": lambda image: _saved(ImageOps.grayscale(image)),
    "slightly blurred": lambda image: _saved(image.filter(ImageFilter.GaussianBlur(1.5))),
    "with a word on it": lambda image: _saved(_marked(image)),
    "mirrored": lambda image: _saved(ImageOps.mirror(image)),
    "rotated by 90 degrees": lambda image: _saved(image.transpose(Image.Transpose.ROTATE_90)),
}


def spread(photos: Sequence[Path], count: int) -> list[int]:
    """Numbers of `count` photos at equal distances."""
    return [number * len(photos) // count for number in range(min(count, len(photos)))]


def embedded(model: str, photos: Sequence[Path], chosen: Sequence[int]) -> tuple[Floats, dict[str, Floats]]:
    """Vectors of all photos (N, D), and by way those of the `chosen` ones changed so; all of length 1."""
    changed: dict[str, list[npt.NDArray[np.float32]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, reembedder(model) as embedder:

        def vector(file: Path) -> npt.NDArray[np.float32]:
            found = embedder.vector(file)
            if isinstance(found, str):  # the reason why it has none
                raise RuntimeError(f"{file}: {found}")  # noqa: TRY004 - the type is how it is told
            return found

        originals = unit(np.stack([vector(photo) for photo in photos]))
        for number in chosen:
            with Image.open(photos[number]) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
            for way, change in WAYS.items():
                file = Path(folder) / "changed"
                file.write_bytes(change(image))
                changed[way].append(vector(file))
    return originals, {way: unit(np.stack(vectors)) for way, vectors in changed.items()}


def tables(originals: Floats, changed: dict[str, Floats], chosen: Sequence[int], kinds: Sequence[str]) -> str:
    """Recall by way and threshold, then what is found wrongly and the precision."""
    cosines = {way: (vectors * originals[list(chosen)]).sum(axis=1) for way, vectors in changed.items()}
    pairs = np.triu_indices(len(originals), 1)
    others = (originals @ originals.T)[pairs]
    kind = np.array(kinds)
    alike = kind[pairs[0]] == kind[pairs[1]]
    everything = np.concatenate(list(cosines.values()))
    head = ["", *(f"{threshold:.2f}" for threshold in THRESHOLDS), "median cosine"]
    rows = [
        [way, *(f"{(found >= t).mean():.3f}" for t in THRESHOLDS), f"{np.median(found):.3f}"]
        for way, found in cosines.items()
    ]
    rows.append(["**recall of all**", *(f"{(everything >= t).mean():.3f}" for t in THRESHOLDS), ""])
    rows.append([f"pairs of one kind, {alike.sum():,}", *(str((others[alike] >= t).sum()) for t in THRESHOLDS),
                 f"{np.median(others[alike]):.3f}"])  # fmt: skip
    rows.append([f"pairs of two kinds, {(~alike).sum():,}", *(str((others[~alike] >= t).sum()) for t in THRESHOLDS),
                 f"{np.median(others[~alike]):.3f}"])  # fmt: skip
    precision = [(everything >= t).sum() / max(1, (everything >= t).sum() + (others >= t).sum()) for t in THRESHOLDS]
    rows.append(["**precision**", *(f"{value:.4f}" for value in precision), ""])
    return markdown_table(head, rows)


def main() -> None:
    """Measure, print and, with --record, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--changed", type=int, default=200, help="photos that are changed")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    photos = sorted(file for file in options.photos.glob("*/*") if file.suffix == ".jpg")
    card = read_model_card(MODEL_DIRECTORY)
    model = str(card.identity("standard-1", options.engine))
    chosen = spread(photos, options.changed)
    originals, changed = embedded(model, photos, chosen)
    text = tables(originals, changed, chosen, [photo.parent.name for photo in photos])
    text = f"{model}, {len(photos)} photos, {len(chosen)} of them changed in {len(WAYS)} ways:\n\n{text}"
    print(text)
    if options.record:
        write_section(f"duplicates-{card.architecture}", text, DOCUMENT)


if __name__ == "__main__":
    main()
