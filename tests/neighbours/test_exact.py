"""Exact neighbours: the same as by comparing each with each, whatever the type, the size and the lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stepvec.neighbours import exact
from stepvec.neighbours.exact import NOBODY, Neighbours, best_of, nearest_rows, unit


def vectors(rows: int, seed: int = 0) -> Any:
    return unit(np.random.default_rng(seed).standard_normal((rows, 16)))


@pytest.mark.parametrize("numbers", [np.float32, np.float16])
def test_the_nearest_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch, numbers: Any) -> None:
    monkeypatch.setattr(exact, "BLOCK_ROWS", 7)
    stored, queries = vectors(50).astype(numbers), vectors(9, seed=1)
    found = nearest_rows(queries, stored, 5)
    cosines = queries @ stored.astype(np.float32).T
    expected = np.argsort(-cosines, axis=1)[:, :5]
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(cosines, expected, 1), rtol=1e-6)


def test_only_allowed_rows_are_found_and_nobody_stands_for_those_that_are_missing() -> None:
    stored = vectors(10)
    allowed = np.zeros(10, bool)
    allowed[[2, 7]] = True
    found = nearest_rows(stored[:1], stored, 4, allowed)
    assert set(found.rows[0, :2]) == {2, 7}
    assert list(found.rows[0, 2:]) == [NOBODY, NOBODY]


def test_of_equals_the_earlier_row_is_first() -> None:
    stored = np.tile(vectors(1), (30, 1))
    assert list(nearest_rows(stored[:1], stored, 30).rows[0]) == list(range(30))


def test_the_best_of_several_searches() -> None:
    one = Neighbours(np.array([[4, NOBODY]]), np.array([[0.5, -np.inf]], np.float32))
    other = Neighbours(np.array([[9, 8]]), np.array([[0.7, 0.4]], np.float32))
    assert best_of([one, other], 3).rows.tolist() == [[9, 4, 8]]
    assert best_of([one], 5).rows.tolist() == [[4, NOBODY]]


@pytest.mark.parametrize("length", [1e-30, 1.0, 1e30])
def test_vectors_of_any_length_get_length_1(length: float) -> None:
    np.testing.assert_allclose(np.linalg.norm(unit(vectors(5) * np.float32(length)), axis=1), 1, rtol=1e-5)


def test_a_vector_of_zeros_is_like_nothing() -> None:
    found = nearest_rows(unit(np.zeros((1, 16))), vectors(3), 1)
    assert found.similarities[0, 0] == 0
