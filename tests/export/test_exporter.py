"""An export from a table to its manifest: what is in it, how it goes on, and what is never published."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from stepvec.errors import InvalidInputError, RecordError, StorageError
from stepvec.export.exporter import Exporter
from stepvec.export.format import MANIFEST, ExportManifest, Since
from stepvec.export.reading import Export
from stepvec.export.selection import Selection, SeveralModelsError
from stepvec.export.sources import ScanSource, SourcePage
from stepvec.export.state import STATE
from stepvec.export.targets import FolderTarget
from stepvec.rows.item import encode_item
from stepvec.rows.vectors import decode_vector
from tests.export.conftest import MODEL, ORIGIN, OTHER, fill, row
from tests.fakes import WRITTEN

ALL = Selection(MODEL, is_named=False)
NAMED = Selection(MODEL, is_named=True)


class LostError(StorageError):
    def __init__(self) -> None:
        super().__init__("lost", remedy="again")


class Stopping(ScanSource):
    """Fails at the page of this number, counted over all lanes."""

    def __init__(self, *arguments: Any, at: int, error: type[BaseException], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.left = at
        self.error = error
        self.lock = threading.Lock()

    def pages(self, lane: int, cursor: str, stopped: threading.Event) -> Iterator[SourcePage]:
        for page in super().pages(lane, cursor, stopped):
            with self.lock:
                self.left -= 1
                if self.left == 0:
                    raise self.error
            yield page


def export(
    client: Callable[[str], Any], out: Path, selection: Selection = ALL, source: Any = None, **options: Any
) -> ExportManifest:
    source = source or ScanSource(client("dynamodb"), ORIGIN, selection, segments=4)
    exporter = Exporter(source, selection, FolderTarget(out), version="0.1.0", **options)
    return exporter.run()


def ids(out: Path) -> list[str]:
    return sorted(one for batch in Export.open(out).vectors() for one in batch.ids)


def test_every_row_is_there_once_with_its_vector_whatever_type_it_stores(
    client: Callable[[str], Any], tmp_path: Path
) -> None:
    kinds = ("float32", "float16", "int8")
    rows = [row(f"photos/ü {number}.jpg", number, data_type=kinds[number % 3]) for number in range(50)]
    rows.append(row("photos/old.jpg", modified=None, run="run-0"))
    fill(client("dynamodb"), rows)
    manifest = export(client, tmp_path / "out")
    assert (manifest.rows, manifest.dimension, manifest.model) == (51, 512, MODEL)
    assert manifest.runs == {"run-1": 50, "run-0": 1}
    assert manifest.read_units > 0
    found = Export.open(tmp_path / "out")
    found.check()
    assert found.manifest == manifest
    stored = {item.image_id: item for item in rows}
    columns = [one for batch in found.batches() for one in batch.to_pylist()]
    assert sorted(one["image_id"] for one in columns) == sorted(stored)
    for one in columns:
        item = stored[one["image_id"]]
        np.testing.assert_array_equal(np.float32(one["vector"]), decode_vector(item))
        wanted = (item.key, item.etag, item.model, item.run, item.created, item.modified)
        assert (one["key"], one["etag"], one["model"], one["run"], one["created"], one["modified"]) == wanted


def test_each_file_says_what_it_is(client: Callable[[str], Any], tmp_path: Path) -> None:
    fill(client("dynamodb"), [row(f"{number}.jpg", number) for number in range(20)])
    manifest = export(client, tmp_path / "out")
    for entry in manifest.files:
        footer = pq.read_metadata(tmp_path / "out" / entry.name).metadata
        told = {key.decode().removeprefix("stepvec:"): text.decode() for key, text in footer.items()}
        assert (told["model"], told["table"], told["numbers"]) == (MODEL, "vectors", "float32")
        assert told["export"] == manifest.started
        assert json.loads(told["runs"]) == {"run-1": entry.rows}


def test_files_are_of_bounded_size(client: Callable[[str], Any], tmp_path: Path) -> None:
    table = "vectors-3000-512"
    origin = ORIGIN.__class__(table, "eu-west-1", "images")
    source = ScanSource(client("dynamodb"), origin, ALL, segments=2)
    manifest = export(client, tmp_path / "out", source=source, file_bytes=1024 * 1024)
    assert manifest.rows == 3000
    assert len(manifest.files) == 4
    # A file is full after the page that fills it: 1 MB and up to 1 MB more.
    assert all(entry.bytes < 2.2 * 1024 * 1024 for entry in manifest.files)
    assert len(set(ids(tmp_path / "out"))) == 3000


def test_numbers_may_be_float16(client: Callable[[str], Any], tmp_path: Path) -> None:
    fill(client("dynamodb"), [row("a.jpg", 1)])
    export(client, tmp_path / "out", numbers="float16")
    (batch,) = Export.open(tmp_path / "out").vectors()
    np.testing.assert_array_equal(batch.vectors[0], decode_vector(row("a.jpg", 1)).astype(np.float16))
    fill(client("dynamodb"), [row("large.jpg", vector=np.full(512, 1e6, np.float32).tobytes())])
    with pytest.raises(RecordError, match=r"'large.jpg' has numbers that float16 cannot hold"):
        export(client, tmp_path / "other", numbers="float16")
    assert not (tmp_path / "other").exists()


def test_rows_of_two_models_are_an_error_until_one_is_named(client: Callable[[str], Any], tmp_path: Path) -> None:
    rows = [row(f"{number}.jpg", number) for number in range(20)]
    fill(client("dynamodb"), [*rows, row("other.jpg", model=OTHER)])
    # As the original sample wrote them.
    client("dynamodb").put_item(TableName="vectors", Item={"ImageId": {"S": "x"}, "Vector": {"B": b"1234"}})
    with pytest.raises(SeveralModelsError, match="there are also rows of") as raised:
        export(client, tmp_path / "out")
    assert f"--model {MODEL}" in raised.value.remedy
    assert list(tmp_path.iterdir()) == []
    manifest = export(client, tmp_path / "out", NAMED)
    assert (manifest.rows, manifest.left_out) == (20, {OTHER: 1, "": 1})
    assert export(client, tmp_path / "of other", Selection(OTHER, is_named=True)).left_out == {MODEL: 20, "": 1}


def test_of_no_rows_nothing_is_made(client: Callable[[str], Any], tmp_path: Path) -> None:
    fill(client("dynamodb"), [row("a.jpg")])
    with pytest.raises(InvalidInputError, match=r"no rows of other, but 1 of resnet18_v2"):
        export(client, tmp_path / "out", Selection("other", is_named=True))
    assert list(tmp_path.iterdir()) == []


def test_only_rows_under_the_prefixes(client: Callable[[str], Any], tmp_path: Path) -> None:
    rows = [row("a/1.jpg"), row("ab/2.jpg"), row("b/3.jpg"), row("c/4.jpg"), row("c/other.jpg", model=OTHER)]
    fill(client("dynamodb"), rows)
    export(client, tmp_path / "out", Selection(MODEL, is_named=False, prefixes=("a/", "b/"), keys=("c/4.jpg",)))
    assert ids(tmp_path / "out") == ["a/1.jpg", "b/3.jpg", "c/4.jpg"]


def test_an_increment_has_what_was_written_since_its_run_began(client: Callable[[str], Any], tmp_path: Path) -> None:
    since = Since("run-2", "2026-11-22T00:00:00.000+00:00")
    second = timedelta(seconds=1)
    rows = [
        row("before.jpg", created=WRITTEN - second),
        row("at.jpg", created=WRITTEN),
        row("after.jpg", created=WRITTEN + second, run="run-3"),
        # Of a host whose clock is behind: the run's own rows are its own.
        row("own.jpg", created=WRITTEN - second, run="run-2"),
    ]
    fill(client("dynamodb"), rows)
    manifest = export(client, tmp_path / "out", Selection(MODEL, is_named=False, since=since))
    assert ids(tmp_path / "out") == ["after.jpg", "at.jpg", "own.jpg"]
    assert manifest.since == since
    later = Since("run-9", "2027-01-01T00:00:00.000+00:00")
    assert export(client, tmp_path / "none", Selection(MODEL, is_named=False, since=later)).rows == 0
    assert ids(tmp_path / "none") == []


@pytest.mark.parametrize("at", [1, 5, 10, 17])
@pytest.mark.parametrize("error", [LostError, KeyboardInterrupt])
def test_an_export_that_breaks_off_goes_on_and_loses_and_doubles_nothing(
    client: Callable[[str], Any], tmp_path: Path, at: int, error: type[BaseException]
) -> None:
    origin = ORIGIN.__class__("vectors-8000-512", "eu-west-1", "images")
    broken = Stopping(client("dynamodb"), origin, ALL, segments=4, at=at, error=error)
    with pytest.raises(error):
        export(client, tmp_path / "out", source=broken, file_bytes=1024 * 1024)
    assert not (tmp_path / "out").exists()
    state = json.loads((tmp_path / "out.unfinished" / STATE).read_text())
    kept = sum(file["rows"] for lane in state["lanes"] for file in lane["files"])
    read: list[int] = []
    whole = ScanSource(client("dynamodb"), origin, ALL, segments=4)
    manifest = export(client, tmp_path / "out", source=whole, file_bytes=1024 * 1024, on_rows=read.append)
    assert manifest.rows == 8_000
    assert sum(read) == 8_000 - kept
    if at == 17:
        assert kept > 3_000
    assert len(set(ids(tmp_path / "out"))) == 8_000
    Export.open(tmp_path / "out").check()
    listed = {entry.name for entry in manifest.files} | {MANIFEST}
    assert {file.name for file in (tmp_path / "out").iterdir()} == listed
    assert not (tmp_path / "out.unfinished").exists()


def test_only_the_same_request_goes_on(client: Callable[[str], Any], tmp_path: Path) -> None:
    origin = ORIGIN.__class__("vectors-4000-512", "eu-west-1", "images")
    with pytest.raises(LostError):
        export(
            client,
            tmp_path / "out",
            source=Stopping(client("dynamodb"), origin, ALL, segments=4, at=5, error=LostError),
        )
    whole = ScanSource(client("dynamodb"), origin, ALL, segments=4)
    with pytest.raises(InvalidInputError, match="it has another numbers, file_bytes"):
        export(client, tmp_path / "out", source=whole, numbers="float16", file_bytes=5)
    for file in (tmp_path / "out.unfinished").glob("*.parquet"):
        file.unlink()
    with pytest.raises(InvalidInputError, match="missing or have changed") as raised:
        export(client, tmp_path / "out", source=whole)
    assert "--restart" in raised.value.remedy


def test_what_stands_there_is_not_written_over_unasked(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(InvalidInputError, match="holds other files"):
        FolderTarget(tmp_path / "full").check(replace=True)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="is a file already"):
        FolderTarget(tmp_path / "file").check(replace=True)
    (tmp_path / "full" / MANIFEST).touch()
    with pytest.raises(InvalidInputError, match="is a finished export already"):
        FolderTarget(tmp_path / "full").check(replace=False)
    FolderTarget(tmp_path / "full").check(replace=True)
    (tmp_path / "empty").mkdir()
    FolderTarget(tmp_path / "empty").check(replace=False)


def test_an_export_is_replaced_in_one_step(client: Callable[[str], Any], tmp_path: Path) -> None:
    fill(client("dynamodb"), [row("a.jpg")])
    export(client, tmp_path / "out")
    fill(client("dynamodb"), [row("b.jpg")])
    export(client, tmp_path / "out")
    assert ids(tmp_path / "out") == ["a.jpg", "b.jpg"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Vector", {"B": b"short"}, "has 5 bytes; 512 numbers of float32 are 2048"),
        ("DataType", {"S": "float64"}, "Vector type 'float64' is unknown"),
        ("Dimension", {"N": "5"}, "5 numbers"),
        ("Created", {"S": "yesterday"}, "Invalid isoformat string"),
        ("Key", None, "no text attribute Key"),
        ("Vector", None, "cannot be read: 'Vector'"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(
    client: Callable[[str], Any], tmp_path: Path, name: str, value: Any, told: str
) -> None:
    fill(client("dynamodb"), [row("good.jpg")])
    item = {**encode_item(row("bad.jpg")), name: value}
    client("dynamodb").put_item(TableName="vectors", Item={key: one for key, one in item.items() if one})
    with pytest.raises(RecordError, match=told) as raised:
        export(client, tmp_path / "out")
    assert "'bad.jpg'" in raised.value.message
    assert not (tmp_path / "out").exists()


def test_a_vector_of_another_dimension_is_an_error(client: Callable[[str], Any], tmp_path: Path) -> None:
    fill(client("dynamodb"), [row(f"{number}.jpg", number) for number in range(8)])
    fill(client("dynamodb"), [row("small.jpg", dimension=128)])
    with pytest.raises(RecordError, match=r"128|512"):
        export(client, tmp_path / "out")
