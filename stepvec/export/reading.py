"""Reading an export: what it says it is, and its rows, some at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec import codec
from stepvec.errors import InvalidInputError
from stepvec.export.columns import matrix
from stepvec.export.format import FORMAT, MANIFEST, ExportedFile, ExportManifest

BATCH_ROWS: Final = 8_192
_HASHED_BYTES: Final = 1024 * 1024


class ExportedVectors(NamedTuple):
    """Some rows of an export: `vectors` is (N, D) float32, row n is that of `ids[n]` and of the S3 key `keys[n]`."""

    ids: list[str]
    keys: list[str]
    vectors: npt.NDArray[np.float32]


class Export:
    """A finished export in a folder of this machine."""

    def __init__(self, folder: Path, manifest: ExportManifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> Export:
        """The export in `folder`. Raises InvalidInputError where there is none, or one that is not finished."""
        file = folder / MANIFEST
        if not file.is_file():
            raise InvalidInputError(
                f"{folder} is not a finished export: it has no {MANIFEST}.",
                remedy="Make one, or finish one that broke off: `stepvec export --out FOLDER`.",
            )
        manifest = codec.from_json(ExportManifest, file.read_bytes(), where=str(file))
        if manifest.format != FORMAT:
            raise InvalidInputError(
                f"{folder} is an export of format {manifest.format}; this version reads format {FORMAT}.",
                remedy="Export again with this version.",
            )
        if manifest.form != "parquet":
            raise InvalidInputError(
                f"{folder} is an export as {manifest.form}; only Parquet is read back.",
                remedy="Export again without --format.",
            )
        return cls(folder, manifest)

    def batches(self, columns: Sequence[str] | None = None, *, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows, up to `rows` at a time and in the order of the manifest's files; `columns` leaves out others."""
        for entry in self.manifest.files:
            with pq.ParquetFile(self.folder / entry.name) as file:
                yield from file.iter_batches(batch_size=rows, columns=None if columns is None else list(columns))

    def vectors(self, *, rows: int = BATCH_ROWS) -> Iterator[ExportedVectors]:
        """The rows' ids, keys and vectors, up to `rows` at a time, as float32 whatever the export holds."""
        for batch in self.batches(("image_id", "key", "vector"), rows=rows):
            yield ExportedVectors(batch["image_id"].to_pylist(), batch["key"].to_pylist(), matrix(batch["vector"]))

    def check(
        self,
        *,
        is_known: Callable[[ExportedFile], bool] = lambda _: False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Compare each file with the manifest. Raises InvalidInputError naming one that is missing or differs.

        Of a file that `is_known` the size is enough. `report` is told, in words, which one is looked at.
        """
        for entry in self.manifest.files:
            file = self.folder / entry.name
            report(f"Checking {entry.name}")
            same = file.is_file() and file.stat().st_size == entry.bytes
            if not same or not (is_known(entry) or sha256_of(file) == entry.sha256):
                raise InvalidInputError(
                    f"{file} is not what was exported: it is missing, or its bytes have changed.",
                    remedy="Copy it again, or export again.",
                )


def sha256_of(file: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest()
