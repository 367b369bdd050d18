"""Groups of duplicates as a Parquet file: a row for each image of a group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.neighbours.groups import DuplicateGroup

SCHEMA: Final = pa.schema(
    [
        ("group", pa.int64()),
        ("keep", pa.bool_()),
        ("kind", pa.string()),
        ("similarity", pa.float32()),
        ("key", pa.string()),
        ("image_id", pa.string()),
        ("etag", pa.string()),
        ("bytes", pa.int64()),
        ("modified", pa.string()),
    ]
)


def write_groups(path: Path, groups: Sequence[DuplicateGroup], *, model: str, threshold: float) -> None:
    """Write `groups`, the one to keep of each first; `bytes` and `modified` are null where they are not known."""
    rows = [
        {
            "group": number,
            "keep": member.kind == "kept",
            "kind": member.kind,
            "similarity": member.similarity,
            "key": member.key,
            "image_id": member.image_id,
            "etag": member.etag,
            "bytes": member.bytes or None,
            "modified": member.modified or None,
        }
        for number, group in enumerate(groups)
        for member in group.members
    ]
    schema = SCHEMA.with_metadata({"stepvec:model": model, "stepvec:threshold": str(threshold)})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")
