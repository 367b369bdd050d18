"""One Parquet file of an export, written a row group at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stepvec.export.columns import METADATA
from stepvec.export.format import ExportedFile

ROW_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Of vectors: what a writer holds in memory, and a reader reads at a time."""
_COMPRESSION: Final = {"vector.list.element": "NONE"}
"""Numbers of vectors hardly shrink, and pages that are not compressed are read as fast as the disk."""
_TEXTS: Final = ("image_id", "key", "etag", "model", "run")


class PartWriter:
    """Writes batches of one schema to `path`. Use it in a with block; what was not closed is no Parquet file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self.vector_bytes = 0
        self._row_bytes = schema.field("vector").type.list_size * schema.field("vector").type.value_type.bit_width // 8
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self.schema = schema
        self._file = _HashingFile(path)
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression={name: "ZSTD" for name in schema.names if name != "vector"} | _COMPRESSION,
            use_dictionary=list(_TEXTS),
            write_statistics=["image_id", "key", "created"],
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Take some rows."""
        size = batch.num_rows * self._row_bytes
        self.rows += batch.num_rows
        self.vector_bytes += size
        self._waiting.append(batch)
        self._waiting_bytes += size
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self, footer: Mapping[str, str]) -> ExportedFile:
        """Write the rest and the footer, and say what the file is."""
        self._write_group()
        self._writer.add_key_value_metadata({f"{METADATA}{name}": text for name, text in footer.items()})
        self._writer.close()
        self._file.close()
        return ExportedFile(self.path.name, self.rows, self._file.size, self._file.digest.hexdigest())

    def abandon(self) -> None:
        """Close the file as it is and remove it."""
        # Arrow's writer closes itself when it is collected, and would write its footer to a file that is closed.
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self.schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._waiting, self._waiting_bytes = [], 0


class _HashingFile:
    """A file that knows the size and the sha256 of what was written to it. Parquet is written from front to end."""

    def __init__(self, path: Path) -> None:
        self._stream: IO[bytes] = path.open("wb")
        self.digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self.digest.update(data)
        written = self._stream.write(data)
        self.size += written
        return written

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
