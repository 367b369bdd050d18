"""A fast run that stored the wrong thing is no result: rows and vectors are checked after every run of the worker."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepvec.runs.listing import ShardImage

FloatArray = NDArray[np.float32]

MIN_COSINE: Final = 0.9999
"""Between a vector of the worker and of the slow path, in float32 with the same decoder."""


class WrongResultError(Exception):
    """The run did not store what it should have."""


def check_rows(rows: Mapping[str, Any], images: Iterable[ShardImage], model: str) -> None:
    """Raises WrongResultError unless each image has its row, with its ETag and the model, and no other row is there."""
    wanted = {image.image_id: image.etag for image in images}
    stored = {name: item["ETag"]["S"] for name, item in rows.items() if item["Model"]["S"] == model}
    if stored != wanted:
        missing, wrong = wanted.keys() - stored.keys(), rows.keys() - wanted.keys()
        raise WrongResultError(
            f"{len(wanted)} images, {len(rows)} rows: {len(missing)} without a row of {model} ({sorted(missing)[:3]}), "
            f"{len(wrong)} rows of nothing that was asked for."
        )


def row_vector(item: Mapping[str, Any]) -> FloatArray:
    """The vector in a row of DynamoDB's wire format."""
    vector = base64.b64decode(item["Vector"]["B"])
    return np.frombuffer(vector, np.dtype(item["DataType"]["S"]).newbyteorder("<")).astype(np.float32)


def min_cosine(rows: Mapping[str, Any], expected: Mapping[str, FloatArray]) -> float:
    """The worst cosine between the rows' vectors and those `expected` by file name. Raises WrongResultError if none."""
    cosines = [
        cosine(row_vector(item), expected[name.rpartition("/")[2]])
        for name, item in rows.items()
        if name.rpartition("/")[2] in expected
    ]
    if not cosines:
        raise WrongResultError("No row is of a photo whose vector is known.")
    return min(cosines)


def check_vectors(rows: Mapping[str, Any], expected: Mapping[str, FloatArray]) -> None:
    """Raises WrongResultError where a vector is not that of the slow path."""
    worst = min_cosine(rows, expected)
    if not worst >= MIN_COSINE:
        raise WrongResultError(f"A vector has the cosine {worst:.6f} to the slow path's, less than {MIN_COSINE}.")


def cosine(one: FloatArray, other: FloatArray) -> float:
    """Of the angle between two vectors."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
