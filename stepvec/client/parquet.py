"""Vectors of one run as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stepvec.export.columns import matrix, record_batch, row_schema
from stepvec.export.parts import PartWriter
from stepvec.rows.item import VectorItem, encode_item


def write_vectors(path: Path, rows: Iterable[VectorItem]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Write rows of one model in the columns of an export (docs/export.md); returns their keys and vectors (N, D).

    No file is there before the last row is in it, and none for no rows.
    """
    found = list(rows)
    if not found:
        return [], np.empty((0, 0), np.float32)
    schema = row_schema(found[0].dimension, metadata={"model": found[0].model})
    batch = record_batch([encode_item(row) for row in found], schema)
    writer = PartWriter(path.with_name(f"{path.name}.part"), schema)
    writer.write(batch)
    writer.close({})
    writer.path.replace(path)
    return [row.key for row in found], matrix(batch["vector"])
