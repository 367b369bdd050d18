"""An export of vectors like those of photos, without photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stepvec.neighbours import building, segment
from testkit.exports import vectors_like


def seeded_vectors(rows: int, seed: int = 0, dimension: int = 32) -> Any:
    """As of a network for photos: not negative, of clusters."""
    real = np.abs(np.random.default_rng(99).standard_normal((60, dimension))) ** 3
    return np.concatenate(list(vectors_like(real, rows, seed)))


@pytest.fixture
def approximate_from_2000(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 2,000 rows and more get inverted lists."""
    for module in (segment, building):
        monkeypatch.setattr(module, "EXACT_BELOW", 2_000)
