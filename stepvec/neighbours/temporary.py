"""An index of rows that are at hand, for as long as it is needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from stepvec.export.columns import matrix
from stepvec.neighbours.index import Index
from stepvec.neighbours.manifest import FORMAT, IndexManifest, SegmentEntry
from stepvec.neighbours.segment import ROW_COLUMNS, write_segment

_SEGMENT = "segment"


@contextmanager
def temporary_index(batches: Sequence[pa.RecordBatch], model: str) -> Iterator[Index]:
    """An index of `batches`, in the columns of an export, as a folder that is gone after the block.

    Rows are numbered in the order of their keys, from 0 on. Memory is twice that of the batches, and the disk holds
    their vectors once.
    """
    with tempfile.TemporaryDirectory(prefix="stepvec-index-") as folder:
        entries: tuple[SegmentEntry, ...] = ()
        dimension = 0
        if rows := sum(map(len, batches)):
            table = pa.Table.from_batches(batches)
            keys = np.array(table["key"].to_pylist(), object)
            table = table.take(pa.array(np.argsort(keys, kind="stable")))
            dimension = table.schema.field("vector").type.list_size
            content = ((batch.select(list(ROW_COLUMNS)), matrix(batch["vector"])) for batch in table.to_batches())
            entries = (write_segment(Path(folder), _SEGMENT, rows, dimension, content, lambda _: None),)
        yield Index(Path(folder), IndexManifest(FORMAT, 1, model, dimension, "", "", "", (), entries))
