"""Other forms of an export, made of its Parquet parts once all of them are there."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stepvec.errors import ConfigurationError
from stepvec.export.columns import row_schema
from stepvec.export.exporter import Finish
from stepvec.export.format import ExportedFile, ExportManifest, Form, footer_of
from stepvec.export.parts import PartWriter
from stepvec.export.reading import BATCH_ROWS, Export, sha256_of

VECTORS: Final = "vectors.npy"
ROWS: Final = "rows.jsonl"
LANCE: Final = "vectors.lance"
_TEXT_COLUMNS: Final = ("image_id", "key", "etag", "model", "run", "created", "modified")
_GZIP_LEVEL: Final = 5


def check_form(form: Form) -> None:
    """Raise ConfigurationError where what `form` needs is not installed."""
    if form == "lance":
        _lance()


def conversion(form: Form) -> Finish | None:
    """What makes `form` of Parquet parts; None for Parquet itself."""
    makers: dict[Form, Callable[[Path, ExportManifest], list[ExportedFile]]] = {
        "npy": _npy,
        "lance": _lance_dataset,
        "csv": _csv,
        "jsonl": _jsonl,
    }
    if form == "parquet":
        return None
    return lambda folder, manifest: replace(manifest, form=form, files=tuple(makers[form](folder, manifest)))


def single_file(name: str) -> Finish:
    """Makes one Parquet file `name` of all parts."""

    def merge(folder: Path, manifest: ExportManifest) -> ExportManifest:
        writer = PartWriter(folder / name, row_schema(manifest.dimension, manifest.numbers, footer_of(manifest)))
        for batch in Export(folder, manifest).batches():
            writer.write(batch)
        runs = json.dumps(dict(manifest.runs), ensure_ascii=False)
        return replace(manifest, files=(writer.close({"runs": runs}),))

    return merge


def _npy(folder: Path, manifest: ExportManifest) -> list[ExportedFile]:
    """The matrix (rows, dimension), to be mapped into memory, and a line of JSON for each of its rows."""
    kind = np.dtype("<f4" if manifest.numbers == "float32" else "<f2")
    header = {"descr": kind.str, "fortran_order": False, "shape": (manifest.rows, manifest.dimension)}
    with (folder / VECTORS).open("wb") as matrix, (folder / ROWS).open("w", encoding="utf-8", newline="\n") as rows:
        np.lib.format.write_array_header_1_0(matrix, header)  # type: ignore[no-untyped-call]
        for batch in Export(folder, manifest).batches():
            matrix.write(np.ascontiguousarray(batch["vector"].flatten().to_numpy(zero_copy_only=False)).data)
            for row in _texts(batch).to_pylist():
                rows.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    return [_described(folder, name, manifest.rows) for name in (VECTORS, ROWS)]


def _lance_dataset(folder: Path, manifest: ExportManifest) -> list[ExportedFile]:
    schema = row_schema(manifest.dimension, manifest.numbers)
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in Export(folder, manifest).batches())
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    _lance().write_dataset(reader, str(folder / LANCE), mode="overwrite")
    files = sorted(file for file in (folder / LANCE).rglob("*") if file.is_file())
    # Rows belong to the data set as a whole: its fragments and its own manifest are its own affair.
    return [_described(folder, str(file.relative_to(folder)), 0) for file in files]


def _csv(folder: Path, manifest: ExportManifest) -> list[ExportedFile]:
    """A gzipped CSV for each part; a vector is a JSON array in quotes."""

    def write(batch: pa.RecordBatch, stream: IO[bytes], is_first: bool) -> None:
        texts = _texts(batch).append_column("vector", _json_arrays(batch["vector"]))
        options = pacsv.WriteOptions(include_header=is_first, quoting_style="needed")
        pacsv.write_csv(texts, stream, options)

    return _text_files(folder, manifest, ".csv.gz", write)


def _jsonl(folder: Path, manifest: ExportManifest) -> list[ExportedFile]:
    """Gzipped JSON Lines for each part; a vector is an array."""

    def write(batch: pa.RecordBatch, stream: IO[bytes], is_first: bool) -> None:  # noqa: ARG001
        vectors = _json_arrays(batch["vector"]).to_pylist()
        for row, vector in zip(_texts(batch).to_pylist(), vectors, strict=True):
            text = json.dumps(row, ensure_ascii=False)
            stream.write(f'{text[:-1]}, "vector": {vector}}}\n'.encode())

    return _text_files(folder, manifest, ".jsonl.gz", write)


def _text_files(
    folder: Path, manifest: ExportManifest, suffix: str, write: Callable[[pa.RecordBatch, IO[bytes], bool], None]
) -> list[ExportedFile]:
    written = []
    for entry in manifest.files:
        name = entry.name.removesuffix(".parquet") + suffix
        with (
            pq.ParquetFile(folder / entry.name) as part,
            gzip.GzipFile(folder / name, "wb", compresslevel=_GZIP_LEVEL, mtime=0) as stream,
        ):
            for number, batch in enumerate(part.iter_batches(batch_size=BATCH_ROWS)):
                write(batch, stream, number == 0)  # type: ignore[arg-type] # a GzipFile is one to be written to
        written.append(_described(folder, name, entry.rows))
    return written


def _texts(batch: pa.RecordBatch) -> pa.Table:
    """The columns but the vector, times as ISO 8601 in UTC."""
    columns: dict[str, Any] = {name: batch[name] for name in _TEXT_COLUMNS}
    for name in ("created", "modified"):
        columns[name] = pc.strftime(columns[name], format="%Y-%m-%dT%H:%M:%SZ")
    return pa.table(columns)


def _json_arrays(vectors: pa.Array) -> pa.Array:
    """Each vector as the text of a JSON array, each number in as few digits as give it back."""
    texts = vectors.flatten().cast(pa.float32()).cast(pa.string())
    lists = pa.FixedSizeListArray.from_arrays(texts, vectors.type.list_size).cast(pa.list_(pa.string()))
    joined = pc.binary_join(lists, ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _described(folder: Path, name: str, rows: int) -> ExportedFile:
    file = folder / name
    return ExportedFile(name, rows, file.stat().st_size, sha256_of(file))


def _lance() -> Any:
    try:
        import lance
    except ImportError as error:
        raise ConfigurationError(
            "Lance is not installed: it takes 220 MB, and nothing else here needs it.",
            remedy="Install it beside Stepvec (pip install pylance), or export as Parquet, which Lance reads too.",
        ) from error
    return lance
