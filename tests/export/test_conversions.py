"""Other forms of an export, and exports in S3."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError, StorageError
from stepvec.export.bucket_target import BucketTarget
from stepvec.export.columns import Numbers
from stepvec.export.conversions import conversion, single_file
from stepvec.export.exporter import Exporter
from stepvec.export.format import MANIFEST, ExportManifest, Form
from stepvec.export.reading import Export, sha256_of
from stepvec.export.selection import Selection
from stepvec.export.sources import ScanSource
from stepvec.export.state import STATE
from stepvec.export.targets import FileTarget, FolderTarget, Target
from stepvec.rows.vectors import decode_vector
from stepvec.runs.layout import S3Uri
from tests.export.conftest import MODEL, ORIGIN, fill, row

ALL = Selection(MODEL, is_named=False)
KEYS = [f'photo {number}, "best" ü\n.jpg' for number in range(30)]


def export(
    client: Callable[[str], Any], target: Target, finish: Any = None, numbers: Numbers = "float32"
) -> ExportManifest:
    source = ScanSource(client("dynamodb"), ORIGIN, ALL, segments=3)
    return Exporter(source, ALL, target, version="0.1.0", numbers=numbers, file_bytes=10_000).run(finish)


@pytest.fixture
def stored(client: Callable[[str], Any]) -> dict[str, np.ndarray[Any, Any]]:
    rows = [row(key, number) for number, key in enumerate(KEYS)]
    fill(client("dynamodb"), rows)
    return {item.image_id: decode_vector(item) for item in rows}


@pytest.mark.parametrize("numbers", ["float32", "float16"])
def test_npy_is_a_matrix_to_map_and_a_line_for_each_row(
    client: Callable[[str], Any], tmp_path: Path, stored: dict[str, Any], numbers: Numbers
) -> None:
    manifest = export(client, FolderTarget(tmp_path / "out"), conversion("npy"), numbers)
    matrix = np.load(tmp_path / "out" / "vectors.npy", mmap_mode="r")
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert (matrix.shape, matrix.dtype) == ((30, 512), np.dtype(numbers))
    assert sorted(one["image_id"] for one in rows) == sorted(KEYS)
    for number, one in enumerate(rows):
        np.testing.assert_array_equal(matrix[number], stored[one["image_id"]].astype(numbers))
    check(tmp_path / "out", manifest, "npy")
    with pytest.raises(InvalidInputError, match="only Parquet is read back"):
        Export.open(tmp_path / "out")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_texts_give_every_number_back(
    client: Callable[[str], Any], tmp_path: Path, stored: dict[str, Any], form: Form
) -> None:
    manifest = export(client, FolderTarget(tmp_path / "out"), conversion(form))
    found: dict[str, list[float]] = {}
    for entry in manifest.files:
        text = gzip.decompress((tmp_path / "out" / entry.name).read_bytes()).decode()
        if form == "csv":
            found |= {one["key"]: json.loads(one["vector"]) for one in csv.DictReader(io.StringIO(text, newline=""))}
        else:
            found |= {one["key"]: one["vector"] for one in map(json.loads, text.splitlines())}
    assert found.keys() == stored.keys()
    for key, vector in found.items():
        np.testing.assert_array_equal(np.array(vector, np.float32), stored[key])
    check(tmp_path / "out", manifest, form)


def check(folder: Path, manifest: ExportManifest, form: Form) -> None:
    """The manifest names the files that are there, and no others."""
    assert manifest.form == form
    assert {file.name for file in folder.iterdir()} == {MANIFEST, *(entry.name for entry in manifest.files)}
    for entry in manifest.files:
        assert (entry.sha256, entry.bytes) == (sha256_of(folder / entry.name), (folder / entry.name).stat().st_size)


def test_one_file_has_all_rows_and_says_what_it_is(
    client: Callable[[str], Any], tmp_path: Path, stored: dict[str, Any]
) -> None:
    out = tmp_path / "vectors.parquet"
    out.write_text("an old one")
    export(client, FileTarget(out), single_file(out.name))
    assert sorted(pq.read_table(out)["key"].to_pylist()) == sorted(stored)
    assert json.loads(pq.read_metadata(out).metadata[b"stepvec:runs"]) == {"run-1": 30}
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


class Failing(BucketTarget):
    """Cannot upload its second part."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.kept = 0

    def keep(self, part: Path) -> None:
        self.kept += 1
        if self.kept == 2:
            raise StorageError("lost", remedy="again")
        super().keep(part)


def test_in_s3_the_manifest_comes_last_and_what_broke_off_goes_on(
    client: Callable[[str], Any], stored: dict[str, Any]
) -> None:
    store, uri = ObjectStore(client("s3")), S3Uri("exports", "vectors/one")

    def names() -> set[str]:
        listed = (entry.key for page in store.list_pages("exports", "vectors/") for entry in page.objects)
        return {key.removeprefix("vectors/one/") for key in listed}

    store.write(S3Uri("exports", "others/are not looked at"), b"")
    with pytest.raises(StorageError):
        export(client, Failing(store, uri))
    assert MANIFEST not in names()
    assert STATE in names()
    manifest = export(client, BucketTarget(store, uri))
    assert manifest.rows == 30
    assert names() == {MANIFEST, *(entry.name for entry in manifest.files)}
    for entry in manifest.files:
        with store.open(S3Uri("exports", f"vectors/one/{entry.name}")) as stream:
            assert pq.read_table(stream).num_rows == entry.rows
    with pytest.raises(InvalidInputError, match="is a finished export already"):
        BucketTarget(store, uri).check(replace=False)
    BucketTarget(store, uri).check(replace=True)
    again = export(client, BucketTarget(store, uri))
    assert names() == {MANIFEST, *(entry.name for entry in again.files)}
    assert not names() & {entry.name for entry in manifest.files}
    store.write(S3Uri("exports", "vectors/one/thesis.txt"), b"")
    with pytest.raises(InvalidInputError, match="holds other objects"):
        BucketTarget(store, uri).check(replace=True)
    store.delete(S3Uri("exports", "vectors/one/thesis.txt"))


class WithoutManifest(ObjectStore):
    """Cannot write a manifest."""

    def write(self, uri: S3Uri, body: bytes, *, content_type: str = "application/json") -> None:
        if uri.key.endswith(MANIFEST):
            raise StorageError("lost", remedy="again")
        super().write(uri, body, content_type=content_type)


def test_an_export_that_stops_at_its_manifest_is_not_taken_for_one_that_goes_on(
    client: Callable[[str], Any], stored: dict[str, Any]
) -> None:
    """Its parts would be published, however old, by the next --replace of the same request."""
    uri = S3Uri("exports", "vectors/two")
    with pytest.raises(StorageError):
        export(client, BucketTarget(WithoutManifest(client("s3")), uri))
    target = BucketTarget(ObjectStore(client("s3")), uri)
    target.check(replace=False)
    assert target.read_state() is None
    assert export(client, target).rows == 30
