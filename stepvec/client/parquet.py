"""Vectors as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.pacing import batches
from stepvec.rows.item import VectorItem
from stepvec.rows.vectors import decode_vector

ROW_GROUP: Final = 10_000


def write_rows(path: Path, rows: Iterable[VectorItem]) -> int:
    """Write rows of one model as Parquet, vectors as fixed-size lists of float32, and return how many they were.

    Memory is that of ROW_GROUP rows. No file is there before the last row is in it, and none for no rows.
    """
    unfinished, count = path.with_name(f"{path.name}.part"), 0
    writer: pq.ParquetWriter | None = None
    for batch in batches(rows, ROW_GROUP):
        table = _table(batch)
        writer = writer or pq.ParquetWriter(unfinished, table.schema, compression="zstd")
        writer.write_table(table)
        count += len(batch)
    if writer is not None:
        writer.close()
        unfinished.replace(path)
    return count


def write_vectors(path: Path, rows: Iterable[VectorItem]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """As write_rows, but return the rows' keys and vectors (N, D)."""
    found = list(rows)
    if not write_rows(path, found):
        return [], np.empty((0, 0), np.float32)
    return [row.key for row in found], np.stack([decode_vector(row) for row in found])


def _table(rows: list[VectorItem]) -> pa.Table:
    vectors = np.concatenate([decode_vector(row) for row in rows])
    return pa.table(
        {
            "image_id": [row.image_id for row in rows],
            "key": [row.key for row in rows],
            "etag": [row.etag for row in rows],
            "model": [row.model for row in rows],
            "run": [row.run for row in rows],
            "created": [row.created for row in rows],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), rows[0].dimension),
        }
    )
