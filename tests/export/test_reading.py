"""Reading an export: what is refused, and that rows come back as they were written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepvec import codec
from stepvec.errors import InvalidInputError
from stepvec.export.columns import Numbers, row_schema
from stepvec.export.format import FORMAT, MANIFEST, ExportedFile, ExportManifest, ExportOrigin
from stepvec.export.reading import Export, sha256_of
from tests.conftest import ROOT

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"


def write_export(folder: Path, numbers: Numbers, **changes: Any) -> ExportManifest:
    """Two files of three and two rows."""
    folder.mkdir()
    vectors = np.arange(5 * 4, dtype=numbers).reshape(5, 4)
    schema = row_schema(4, numbers)
    files = []
    for number, rows in enumerate((range(3), range(3, 5))):
        made = datetime(2026, 11, 26, tzinfo=UTC)
        columns = [
            [f"id{row}" for row in rows], [f"key{row}" for row in rows], ["e"] * len(rows), [MODEL] * len(rows),
            ["run"] * len(rows), [made] * len(rows), [None] * len(rows), list(vectors[rows.start : rows.stop]),
        ]  # fmt: skip
        file = folder / f"part-00-0000{number}.parquet"
        pq.write_table(pa.table(columns, schema=schema), file)
        files.append(ExportedFile(file.name, len(rows), file.stat().st_size, sha256_of(file)))
    manifest = ExportManifest(
        format=FORMAT, stepvec="0.1.0", form="parquet", model=MODEL, dimension=4, numbers=numbers, rows=5,
        files=tuple(files), runs={"run": 5}, left_out={}, origin=ExportOrigin("table", "us-east-1", "images"),
        prefixes=(), keys=(), since=None, started="", finished="", read_units=0.0,
    )  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(codec.to_document(manifest) | changes))
    return manifest


@pytest.mark.parametrize("numbers", ["float32", "float16"])
def test_rows_come_back_as_float32_in_the_order_of_the_files(tmp_path: Path, numbers: Numbers) -> None:
    written = write_export(tmp_path / "e", numbers)
    export = Export.open(tmp_path / "e")
    assert export.manifest == written
    batches = list(export.vectors(rows=2))
    assert [len(batch.ids) for batch in batches] == [2, 1, 2]
    assert [one for batch in batches for one in batch.ids] == [f"id{row}" for row in range(5)]
    assert [one for batch in batches for one in batch.keys] == [f"key{row}" for row in range(5)]
    found = np.concatenate([batch.vectors for batch in batches])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(20, dtype=np.float32).reshape(5, 4))


def test_what_is_no_finished_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a finished export"):
        Export.open(tmp_path)
    write_export(tmp_path / "later", "float32", format=FORMAT + 1)
    with pytest.raises(InvalidInputError, match="this version reads format 1"):
        Export.open(tmp_path / "later")


@pytest.mark.parametrize("change", ["missing", "changed"])
def test_a_file_that_is_not_what_was_exported_is_named(tmp_path: Path, change: str) -> None:
    write_export(tmp_path / "e", "float32")
    export = Export.open(tmp_path / "e")
    export.check()
    file = tmp_path / "e" / "part-00-00001.parquet"
    if change == "missing":
        file.unlink()
    else:
        body = bytearray(file.read_bytes())
        body[10] ^= 1
        file.write_bytes(body)
    with pytest.raises(InvalidInputError, match="part-00-00001.parquet is not what was exported"):
        export.check()


def test_the_document_names_every_column_and_key() -> None:
    text = (ROOT / "docs" / "export.md").read_text()
    named = {*row_schema(4).names, *ExportManifest.__dataclass_fields__, *ExportedFile.__dataclass_fields__}
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []
