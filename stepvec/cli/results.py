"""What a local run leaves on disk: report.json, failures.jsonl, vectors.parquet, gallery.html."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.adapters.vector_table import batches
from stepvec.item import VectorItem
from stepvec.vectors import decode_vector

ROW_GROUP: Final = 10_000


def write_vectors(path: Path, rows: Iterable[VectorItem]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Write rows as Parquet, vectors as fixed-size lists of float32, and return their keys and vectors (N, D)."""
    keys: list[str] = []
    vectors: list[npt.NDArray[np.float32]] = []
    writer: pq.ParquetWriter | None = None
    for batch in batches(rows, ROW_GROUP):
        table = _table(batch)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
        keys += [row.key for row in batch]
        vectors += [decode_vector(row) for row in batch]
    if writer is None:
        return [], np.empty((0, 0), np.float32)
    writer.close()
    return keys, np.stack(vectors)


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
