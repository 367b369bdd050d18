"""The approximate index of many vectors: FAISS's inverted lists of 1-bit codes (docs/decisions/0115).

Rows lie in lists by their nearest of some centroids. A search looks into the `probes` lists nearest to its query, and
takes the `candidates` best by their codes; whoever asks then compares those exactly. Both numbers are measured when the
index is made (`calibrate`), since they depend on the vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepvec.errors import ConfigurationError, RecordError
from stepvec.neighbours.exact import Floats

ROWS_PER_LIST: Final = 256
LISTS: Final = (64, 2_048)
"""Fewest and most lists. Finding centroids takes the square of their number."""
SAMPLE_PER_LIST: Final = 40
"""Vectors for each centroid to be found from; FAISS warns below 39."""
ROUNDS: Final = 8
"""Rounds of k-means; more of them change the recall by less than it varies."""
QUERY_BITS: Final = 8
"""Bits of a query's numbers against the codes' one; with 4, a hundredth more of the neighbours is missed."""
_ADDED_ROWS: Final = 16_384
_SEED: Final = 20_180


class InvertedLists:
    """An index on disk. A search reads the lists that it looks into, and keeps nothing."""

    def __init__(self, file: Path) -> None:
        """Raises RecordError where `file` is not one, ConfigurationError where FAISS is missing."""
        faiss = load_faiss()
        try:
            self._index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise RecordError(
                f"{file} cannot be read: {str(error).splitlines()[0]}.",
                remedy="Make the index again: `stepvec index --rebuild`.",
            ) from error
        self.lists = int(faiss.extract_index_ivf(self._index).nlist)

    def candidates(
        self, queries: Floats, count: int, *, probes: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """Rows (Q, count) that are probably the nearest to `queries` (Q, D), -1 where there are fewer; in no order."""
        faiss = load_faiss()
        options: dict[str, Any] = {"nprobe": min(probes, self.lists), "qb": QUERY_BITS}
        if allowed is not None:
            # Kept in a variable: FAISS holds a pointer to it, and no reference.
            bits = np.packbits(allowed, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        parameters = faiss.IVFRaBitQSearchParameters(**options)
        found: npt.NDArray[np.int64] = self._index.search(queries, count, params=parameters)[1]
        return found


def build_lists(file: Path, stored: npt.NDArray[Any], report: Callable[[str], None] = lambda _: None) -> None:
    """Write the index of `stored` (N, D), vectors of length 1. Memory is that of the codes, D / 8 + 16 bytes a row.

    The sample that the centroids are found from is besides, up to 82,000 vectors.
    """
    faiss = load_faiss()
    rows, dimension = stored.shape
    lists = int(np.clip(rows // ROWS_PER_LIST, *LISTS))
    index = faiss.index_factory(dimension, f"IVF{lists},RaBitQ", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed, index.cp.max_points_per_centroid = ROUNDS, _SEED, SAMPLE_PER_LIST
    report(f"Finding {lists:,} centroids")
    sample = np.random.default_rng(_SEED).choice(rows, min(rows, lists * SAMPLE_PER_LIST), replace=False)
    index.train(np.asarray(stored[np.sort(sample)], np.float32))
    for start in range(0, rows, _ADDED_ROWS):
        index.add(np.asarray(stored[start : start + _ADDED_ROWS], np.float32))
        report(f"Indexing {min(start + _ADDED_ROWS, rows):,} of {rows:,} vectors")
    faiss.write_index(index, str(file))


def load_faiss() -> Any:
    """FAISS. Raises ConfigurationError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise ConfigurationError(
            "An index of so many vectors needs FAISS, which is not installed.",
            remedy="Run `make setup`, or `pip install faiss-cpu`.",
        ) from error
    return faiss
