"""Exports read by pyarrow, pandas, DuckDB and Lance: the same ids, keys and vectors, by each in its own way.

pandas, DuckDB and Lance are large: `make test-readers` has them, and so has CI; without them their tests are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from stepvec.export.columns import Numbers
from stepvec.export.conversions import conversion
from stepvec.export.exporter import Exporter
from stepvec.export.format import Form
from stepvec.export.selection import Selection
from stepvec.export.sources import ScanSource
from stepvec.export.targets import FolderTarget
from stepvec.rows.vectors import decode_vector
from tests.export.conftest import MODEL, ORIGIN, fill, row

ROWS = 200
Vectors = dict[str, Any]


def reader(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: `make test-readers` does it")


@pytest.fixture
def stored(client: Callable[[str], Any]) -> Vectors:
    kinds = ("float32", "int8")
    rows = [row(f"photos/{number} ü.jpg", number, data_type=kinds[number % 2]) for number in range(ROWS)]
    fill(client("dynamodb"), rows)
    return {item.key: decode_vector(item) for item in rows}


@pytest.fixture
def exported(client: Callable[[str], Any], stored: Vectors, tmp_path: Path) -> Callable[..., Path]:
    def make(form: Form = "parquet", numbers: Numbers = "float32") -> Path:
        selection = Selection(MODEL, is_named=False)
        source = ScanSource(client("dynamodb"), ORIGIN, selection, segments=3)
        target = FolderTarget(tmp_path / form)
        Exporter(source, selection, target, version="0.1.0", numbers=numbers, file_bytes=100_000).run(conversion(form))
        return tmp_path / form

    return make


def check(found: dict[str, Any], stored: Vectors) -> None:
    assert found.keys() == stored.keys()
    for key, vector in found.items():
        np.testing.assert_array_equal(np.asarray(vector, np.float32), stored[key])


def test_pyarrow(exported: Callable[..., Path], stored: Vectors) -> None:
    folder = exported()
    for table in (pq.read_table(folder), ds.dataset(folder, format="parquet").to_table()):
        assert table.schema.field("vector").type == pa.list_(pa.field("element", pa.float32(), nullable=False), 512)
        assert len(set(table["image_id"].to_pylist())) == ROWS
        check(dict(zip(table["key"].to_pylist(), table["vector"].to_pylist(), strict=True)), stored)


def test_pandas(exported: Callable[..., Path], stored: Vectors) -> None:
    frame = reader("pandas").read_parquet(exported())
    assert str(frame["created"].dtype) == "datetime64[ms, UTC]"
    check(dict(zip(frame["key"], frame["vector"], strict=True)), stored)


def test_duckdb(exported: Callable[..., Path], stored: Vectors) -> None:
    duckdb, folder = reader("duckdb"), exported()
    files = f"'{folder}/*.parquet'"
    rows = duckdb.sql(f"select key, vector from {files}").fetchall()  # noqa: S608 - a path of ours
    check(dict(rows), stored)
    # A search in plain SQL, and the footer.
    (nearest,) = duckdb.sql(
        f"select key from {files} order by array_cosine_similarity(vector::float[512], "  # noqa: S608
        f"(select vector::float[512] from {files} where key = 'photos/7 ü.jpg')) desc limit 1"
    ).fetchall()
    assert nearest == ("photos/7 ü.jpg",)
    footer = duckdb.sql(f"select distinct value::varchar from parquet_kv_metadata({files}) where key = 'stepvec:model'")  # noqa: S608
    assert footer.fetchall() == [(MODEL,)]


def test_lance(exported: Callable[..., Path], stored: Vectors) -> None:
    lance = reader("lance")
    folder = exported("lance")
    dataset = lance.dataset(str(folder / "vectors.lance"))
    table = dataset.to_table()
    check(dict(zip(table["key"].to_pylist(), table["vector"].to_pylist(), strict=True)), stored)
    nearest = dataset.to_table(nearest={"column": "vector", "q": stored["photos/7 ü.jpg"], "k": 1})
    assert nearest["key"].to_pylist() == ["photos/7 ü.jpg"]
    assert sorted(file.name for file in folder.iterdir()) == ["_manifest.json", "vectors.lance"]


def test_float16_is_read_too(exported: Callable[..., Path], stored: Vectors) -> None:
    folder = exported(numbers="float16")
    table = pq.read_table(folder)
    halved = {key: vector.astype(np.float16).astype(np.float32) for key, vector in stored.items()}
    check(dict(zip(table["key"].to_pylist(), table["vector"].to_pylist(), strict=True)), halved)
    frame = reader("pandas").read_parquet(folder)
    check(dict(zip(frame["key"], frame["vector"], strict=True)), halved)
    rows = reader("duckdb").sql(f"select key, vector from '{folder}/*.parquet'").fetchall()  # noqa: S608
    check(dict(rows), halved)
