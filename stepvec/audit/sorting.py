"""Any number of rows in the order of their keys: sorted on disk, by SQLite."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stepvec.pacing import batches
from stepvec.rows.item import RowMetadata

CACHE_KIB: Final = 32 * 1024
"""Memory for SQLite's pages; everything else is in a file: some 250 bytes a row, twice that while it is sorted."""
_BATCH: Final = 10_000


@contextmanager
def sorted_by_key(rows: Iterable[RowMetadata]) -> Iterator[Iterator[RowMetadata]]:
    """The rows in the order of their keys' UTF-8 bytes. The file is gone when the block is left."""
    with tempfile.TemporaryDirectory(prefix="stepvec-audit-") as folder:
        database = sqlite3.connect(Path(folder) / "rows.sqlite", isolation_level=None)
        try:
            # A scratch file: nothing needs to survive a crash.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{CACHE_KIB}"):
                database.execute(f"PRAGMA {pragma}")
            # As bytes: SQLite compares those one by one, as S3 does.
            database.execute("CREATE TABLE rows (key BLOB, image_id BLOB, etag TEXT, model TEXT, run TEXT)")
            for batch in batches(rows, _BATCH):
                database.execute("BEGIN")
                database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", map(_fields, batch))
                database.execute("COMMIT")
            yield map(
                _metadata, database.execute("SELECT key, image_id, etag, model, run FROM rows ORDER BY key, image_id")
            )
        finally:
            database.close()


def _fields(row: RowMetadata) -> tuple[bytes, bytes, str, str, str]:
    return row.key.encode(), row.image_id.encode(), row.etag, row.model, row.run


def _metadata(fields: tuple[bytes, bytes, str, str, str]) -> RowMetadata:
    key, image_id, etag, model, run = fields
    return RowMetadata(image_id=image_id.decode(), key=key.decode(), etag=etag, model=model, run=run)
