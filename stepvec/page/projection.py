"""Vectors as points of a plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_SUBSPACE: Final = 8
_MOST_ROUNDS: Final = 300
_PRECISION: Final = 1e-9
"""Of the eigenvalues, from one round to the next."""

Batches = Callable[[], Iterable[npt.NDArray[Any]]]
"""The vectors, some rows at a time; asked for them again, it gives them again."""


def principal_plane(batches: Batches) -> npt.NDArray[np.float32]:
    """The points (N, 2) of N vectors in the plane in which they differ most: their two principal components.

    Memory is that of a batch and of D x D numbers. Of each axis the direction is that in which the component's largest
    number is positive, so that the same vectors give the same map.
    """
    count, mean = _mean(batches())
    if count == 0:
        return np.empty((0, 2), np.float32)
    covariance = np.zeros((len(mean), len(mean)))
    for vectors in batches():
        centred = vectors - mean
        covariance += centred.T @ centred
    axes = _two_axes(covariance)
    points: npt.NDArray[np.float32] = np.concatenate([(vectors - mean) @ axes for vectors in batches()])
    return points.astype(np.float32)


def _two_axes(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The two eigenvectors (D, 2) of the largest eigenvalues; zeros where D is 1.

    By subspace iteration: all eigenvectors of 1,280 numbers would take seconds.
    """
    dimension = len(covariance)
    basis = np.random.default_rng(0).standard_normal((dimension, min(_SUBSPACE, dimension)))
    before: npt.NDArray[Any] = np.zeros(basis.shape[1])
    for _ in range(_MOST_ROUNDS):
        basis, _ = np.linalg.qr(covariance @ basis)
        values, turn = np.linalg.eigh(basis.T @ covariance @ basis)
        basis = basis @ turn
        if np.allclose(values[-2:], before[-2:], rtol=_PRECISION, atol=0):
            break
        before = values
    axes = np.zeros((dimension, 2))
    axes[:, : min(2, dimension)] = basis[:, ::-1][:, :2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    turned: npt.NDArray[np.float64] = axes * np.where(largest < 0, -1, 1)
    return turned


def _mean(batches: Iterable[npt.NDArray[Any]]) -> tuple[int, npt.NDArray[np.float64]]:
    parts = [(len(vectors), vectors.sum(axis=0, dtype=np.float64)) for vectors in batches]
    count = sum(rows for rows, _ in parts)
    total: npt.NDArray[np.float64] = np.sum([part for _, part in parts], axis=0)
    return count, total / max(1, count)


def spread(points: npt.NDArray[Any], side: int) -> npt.NDArray[np.int64]:
    """`points` (N, 2) as whole numbers from 0 to `side`, each axis over all of it."""
    if not len(points):
        return np.empty((0, 2), np.int64)
    low, high = points.min(axis=0), points.max(axis=0)
    parts = (points - low) / np.where(high > low, high - low, 1)
    whole: npt.NDArray[np.int64] = np.rint(parts * side).astype(np.int64)
    return whole
