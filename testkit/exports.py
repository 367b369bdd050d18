"""Exports (docs/export.md) of vectors that no table holds, and vectors like those of photos, as many as one wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stepvec import codec
from stepvec.export.columns import Numbers, row_schema
from stepvec.export.format import FORMAT, MANIFEST, ExportedFile, ExportManifest, ExportOrigin
from stepvec.export.reading import sha256_of

MODEL: Final = "resnet18_v2/a81db45fd7b7/standard-1"
CREATED: Final = datetime(2026, 11, 26, tzinfo=UTC)
_FILE_ROWS: Final = 100_000
_BLOCK_ROWS: Final = 20_000
_NOISE_PHOTOS: Final = 8


def write_export(
    folder: Path,
    keys: Sequence[str],
    vectors: npt.NDArray[Any],
    *,
    model: str = MODEL,
    etags: Sequence[str] | None = None,
    created: datetime = CREATED,
    modified: Sequence[datetime] | None = None,
    file_rows: int = _FILE_ROWS,
) -> None:
    """Write rows with these `keys` (which are their ids too) and `vectors` (N, D) as a finished export in `folder`."""
    columns = [
        (
            list(keys[start : start + file_rows]),
            vectors[start : start + file_rows],
            list((etags or keys)[start : start + file_rows]),
            None if modified is None else list(modified[start : start + file_rows]),
        )
        for start in range(0, len(keys), file_rows)
    ]
    write_export_files(folder, columns, vectors.shape[1], model=model, created=created)


def write_export_files(
    folder: Path,
    files: Iterable[tuple[list[str], npt.NDArray[Any], list[str], list[datetime] | None]],
    dimension: int,
    *,
    model: str = MODEL,
    created: datetime = CREATED,
    numbers: Numbers = "float32",
) -> None:
    """As write_export, a file at a time: keys, vectors, ETags and S3's times of change, which may be unknown."""
    folder.mkdir(exist_ok=True)
    schema = row_schema(dimension, numbers)
    written = []
    for number, (keys, vectors, etags, modified) in enumerate(files):
        count = len(keys)
        flat = pa.array(np.ascontiguousarray(vectors, numbers).reshape(-1))
        table = pa.table(
            [
                keys, keys, etags, [model] * count, ["run"] * count, [created] * count,
                modified or pa.nulls(count), pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type),
            ],
            schema=schema,
        )  # fmt: skip
        file = folder / f"part-{number:02}-00000.parquet"
        pq.write_table(table, file, compression="none", row_group_size=10_000)
        written.append(ExportedFile(file.name, count, file.stat().st_size, sha256_of(file)))
    rows = sum(file.rows for file in written)
    manifest = ExportManifest(
        format=FORMAT, stepvec="0.1.0", form="parquet", model=model, dimension=dimension, numbers=numbers, rows=rows,
        files=tuple(written), runs={"run": rows}, left_out={}, origin=ExportOrigin("table", "us-east-1", "images"),
        prefixes=(), keys=(), since=None, started="", finished="", read_units=0.0,
    )  # fmt: skip
    (folder / MANIFEST).write_text(codec.to_json(manifest), encoding="utf-8")


def vectors_like(real: npt.NDArray[Any], rows: int, seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """`rows` vectors of length 1 as a network gives them for photos like those of `real` (N, D), 20,000 at a time.

    Each is a mixture of two photos' vectors in random parts, and noise of their covariance, made of how _NOISE_PHOTOS
    others differ from the mean: as far from its neighbours as real photos are, and of as few dimensions (some 50).
    Numbers are not negative, as after a ReLU.
    """
    lengths = np.linalg.norm(real, axis=1, keepdims=True)
    base = (real / lengths).astype(np.float32)
    spread = (base - base.mean(axis=0)) / np.sqrt(np.float32(_NOISE_PHOTOS))
    for number, start in enumerate(range(0, rows, _BLOCK_ROWS)):
        random = np.random.default_rng([seed, number])
        count = min(_BLOCK_ROWS, rows - start)
        first, second = random.integers(len(base), size=(2, count))
        part = random.random((count, 1), dtype=np.float32)
        made = part * base[first] + (1 - part) * base[second]
        for others in random.integers(len(base), size=(_NOISE_PHOTOS, count)):
            made += random.standard_normal((count, 1), dtype=np.float32) * spread[others]
        np.maximum(made, 0, out=made)
        yield made / np.linalg.norm(made, axis=1, keepdims=True)
