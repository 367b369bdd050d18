"""What differs between a whole table and a whole bucket. Pure: sorted streams in, findings out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.rows.vectors import decode_vector
from stepvec.runs.listing import ListedImage

Element = TypeVar("Element")

MIN_COSINE: Final[dict[str, float]] = {"float32": 0.9999, "float16": 0.9999, "int8": 0.999}
"""Lowest cosine of a stored vector to the same image embedded again by the same engine, by vector type. float32 differs
by the order in which another processor adds up, int8 by its rounding (0.999 on trained vectors)."""
MIN_COSINE_OF_ENGINE: Final[dict[str, float]] = {
    "onnxruntime-float16": 0.999,
    "openvino-bf16": 0.999,
    "openvino-int8": 0.99,
}
"""Lower for engines that compute in less than float32, whose kernels differ more from processor to processor."""


class FindingKind(StrEnum):
    """What is wrong with a row, or with an image."""

    ROW_WITHOUT_IMAGE = "RowWithoutImage"
    """The row's object is gone from the bucket."""
    IMAGE_WITHOUT_ROW = "ImageWithoutRow"
    """No row has the image's key: it was never embedded, or cannot be."""
    OTHER_ETAG = "OtherETag"
    """The image was overwritten since its row was written."""
    OTHER_MODEL = "OtherModel"
    """The row is of another model than the deployment's."""
    UNREADABLE_ROW = "UnreadableRow"
    """The row lacks an attribute, or holds a wrong one."""
    NOT_INDEXED = "NotIndexed"
    """The index of S3 Vectors lacks the row's vector, or has that of an earlier row."""
    VECTOR_WITHOUT_ROW = "VectorWithoutRow"
    """The index has a vector whose image has no row."""
    WRONG_VECTOR = "WrongVector"
    """The vector differs from that of the image embedded again. Only a sample is checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `image_id` is "" where there is no row."""

    kind: FindingKind
    key: str
    image_id: str
    message: str


@dataclass(frozen=True, slots=True)
class MatchedRow:
    """A row of the deployment's model whose image is there, with the ETag that the row says."""

    image_id: str
    key: str
    etag: str


def compare(
    rows: Iterable[RowMetadata],
    images: Iterable[ListedImage],
    *,
    model: str,
    is_missed: Callable[[ListedImage], bool] = lambda _: True,
) -> Iterator[Finding | MatchedRow]:
    """What differs between the rows and the images, and the rows that match.

    `is_missed` is asked of each object without a row whether it should have one.

    Both must be in the order of their keys' UTF-8 bytes, as S3 lists: that of their code points. A key may have
    several rows (of two id schemes). Holds one key of each at a time.
    """
    grouped = groupby(rows, key=attrgetter("key"))
    listed = iter(images)
    group, image = next(grouped, None), next(listed, None)
    while group is not None or image is not None:
        if image is not None and (group is None or image.key < group[0]):
            if is_missed(image):
                yield Finding(FindingKind.IMAGE_WITHOUT_ROW, image.key, "", "No row has this key.")
            image = next(listed, None)
        elif group is not None and (image is None or group[0] < image.key):
            yield from map(_without_image, group[1])
            group = next(grouped, None)
        elif group is not None and image is not None:
            for row in group[1]:
                yield from _judged(row, image, model)
            group, image = next(grouped, None), next(listed, None)


def _without_image(row: RowMetadata) -> Finding:
    if not row.key:
        message = "It has no Key: Stepvec did not write it, and its image is unknown."
        return Finding(FindingKind.UNREADABLE_ROW, "", row.image_id, message)
    return Finding(FindingKind.ROW_WITHOUT_IMAGE, row.key, row.image_id, "The bucket has no such object.")


def _judged(row: RowMetadata, image: ListedImage, model: str) -> Iterator[Finding | MatchedRow]:
    if row.is_embedding_of(image.etag, model):
        yield MatchedRow(row.image_id, row.key, row.etag)
    if row.etag != image.etag:
        message = f"The row has the ETag {row.etag or '(none)'}, the object {image.etag}."
        yield Finding(FindingKind.OTHER_ETAG, row.key, row.image_id, message)
    if row.model != model:
        message = f"The row's model is {row.model or '(none)'}; the deployment embeds with {model}."
        yield Finding(FindingKind.OTHER_MODEL, row.key, row.image_id, message)


def compare_vectors(row: VectorItem, again: npt.NDArray[Any]) -> Finding | None:
    """Whether the row's vector is `again`, its image embedded anew; None if it is."""
    stored = decode_vector(row)
    if stored.shape != again.shape:
        message = f"It has {stored.size} numbers; embedding the image again gives {again.size}."
        return Finding(FindingKind.WRONG_VECTOR, row.key, row.image_id, message)
    found, least = cosine(stored, again), min_cosine(row.model, row.data_type)
    # Not `found < least`: a vector with a NaN has a cosine that is neither less nor more.
    if found >= least:
        return None
    message = f"Its cosine to the image embedded again is {found:.5f}, and must be at least {least}."
    return Finding(FindingKind.WRONG_VECTOR, row.key, row.image_id, message)


def min_cosine(model: str, vector_type: str) -> float:
    """The lowest cosine at which a stored vector still counts as its image's."""
    of_engine = [least for name, least in MIN_COSINE_OF_ENGINE.items() if f"/{name}" in model]
    return min([MIN_COSINE[vector_type], *of_engine])


def cosine(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Of two vectors; NaN where one is zero."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / length if length else float("nan")


class Sample(Generic[Element]):
    """A uniform sample of a stream of unknown length, in the memory of the sample alone (Vitter's algorithm R)."""

    def __init__(self, size: int, generator: random.Random) -> None:
        self.chosen: list[Element] = []
        self._size = size
        self._generator = generator
        self._seen = 0

    def offer(self, element: Element) -> None:
        """One element of the stream."""
        self._seen += 1
        if len(self.chosen) < self._size:
            self.chosen.append(element)
        elif (place := self._generator.randrange(self._seen)) < self._size:
            self.chosen[place] = element
