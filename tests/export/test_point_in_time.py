"""DynamoDB's own export to S3 as a source."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError, StepvecError, StorageError
from stepvec.export.exporter import Exporter
from stepvec.export.format import ExportManifest, Since
from stepvec.export.point_in_time import PointInTimeSource, start_point_in_time
from stepvec.export.reading import Export
from stepvec.export.selection import Selection
from stepvec.export.targets import FolderTarget
from stepvec.rows.item import VectorItem, encode_item
from stepvec.runs.layout import S3Uri
from tests.export.conftest import MODEL, row

BUCKET = "backups"
FOLDER = S3Uri(BUCKET, "2026-Nov/AWSDynamoDB/01693685827463-2d8752fd/")
ALL = Selection(MODEL, is_named=False)


def write_export(s3: Any, files: list[list[VectorItem]], **changes: Any) -> None:
    """An export as AWS documents it: two manifests, and a data file for each partition."""
    listed = []
    for number, rows in enumerate(files):
        lines = (
            json.dumps({"Item": encode_item(item)}, default=lambda raw: base64.b64encode(raw).decode()) for item in rows
        )
        body = gzip.compress("".join(f"{line}\n" for line in lines).encode())
        key = f"{FOLDER.key}data/file{number}.json.gz"
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        listed.append({"itemCount": len(rows), "md5Checksum": md5, "etag": "e-1", "dataFileS3Key": key})
    summary = {
        "version": "2020-06-30", "tableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/Vectors",
        "exportTime": "2026-11-22T00:00:00.000Z", "s3Bucket": BUCKET, "s3Prefix": "2026-Nov", "billedSizeBytes": 0,
        "manifestFilesS3Key": f"{FOLDER.key}manifest-files.json", "itemCount": sum(map(len, files)),
        "outputFormat": "DYNAMODB_JSON", "exportType": "FULL_EXPORT", **changes,
    }  # fmt: skip
    put(s3, "manifest-files.json", "\n".join(map(json.dumps, listed)))
    put(s3, "manifest-summary.json", json.dumps(summary))


def line(item: VectorItem) -> str:
    return json.dumps({"Item": encode_item(item)}, default=lambda raw: base64.b64encode(raw).decode()) + "\n"


def put(s3: Any, name: str, text: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{FOLDER.key}{name}", Body=text.encode())


def export(s3: Any, out: Path, selection: Selection = ALL, folder: S3Uri = FOLDER, **options: Any) -> ExportManifest:
    source = PointInTimeSource(ObjectStore(s3), folder, selection, "images")
    return Exporter(source, selection, FolderTarget(out), version="0.1.0", **options).run()


@pytest.mark.parametrize("named", ["", "manifest-summary.json", "manifest-files.json"])
def test_its_rows_are_the_exports(client: Callable[[str], Any], tmp_path: Path, named: str) -> None:
    files = [[row(f"{file}-{number}.jpg", number) for number in range(300)] for file in range(5)]
    write_export(client("s3"), [*files, []])
    manifest = export(client("s3"), tmp_path / "out", folder=S3Uri(BUCKET, f"{FOLDER.key}{named}"))
    found = sorted(one for batch in Export.open(tmp_path / "out").vectors() for one in batch.ids)
    assert found == sorted(item.image_id for rows in files for item in rows)
    origin = manifest.origin
    assert (origin.kind, origin.table, origin.region) == ("point-in-time", "Vectors", "eu-west-1")
    assert (origin.uri, origin.as_of, manifest.read_units) == (str(FOLDER), "2026-11-22T00:00:00.000Z", 0)


def test_it_is_filtered_as_a_scan_is(client: Callable[[str], Any], tmp_path: Path) -> None:
    rows = [row("a/1.jpg"), row("b/1.jpg", run="run-2"), row("b/2.jpg")]
    write_export(client("s3"), [rows])
    since = Since("run-2", "2027-01-01T00:00:00.000+00:00")
    assert export(client("s3"), tmp_path / "a", Selection(MODEL, is_named=False, prefixes=("b/",))).rows == 2
    assert export(client("s3"), tmp_path / "b", Selection(MODEL, is_named=False, since=since)).rows == 1


def test_it_goes_on_within_a_file(client: Callable[[str], Any], tmp_path: Path) -> None:
    """The second file cannot be read at first, when part of it and of the first are kept."""
    files = [[row(f"{file}-{number}.jpg", number) for number in range(1000)] for file in range(2)]
    write_export(client("s3"), files)
    source = PointInTimeSource(ObjectStore(client("s3")), FOLDER, ALL, "images")
    key = f"{FOLDER.key}data/file1.json.gz"
    body = client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=body[:-100])
    with pytest.raises(StorageError, match="its MD5 differs"):
        Exporter(source, ALL, FolderTarget(tmp_path / "out"), version="0.1.0", file_bytes=400_000).run()
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    manifest = export(client("s3"), tmp_path / "out", file_bytes=400_000)
    assert manifest.rows == len({one for batch in Export.open(tmp_path / "out").vectors() for one in batch.ids}) == 2000


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outputFormat": "ION"}, "is in the format ION"),
        ({"exportType": "INCREMENTAL_EXPORT"}, "is an incremental export"),
        ({"itemCount": 4}, "should have 4 rows, and its files 3"),
        ({"tableArn": "x"}, "is no summary of an export"),
    ],
)
def test_what_cannot_be_read_is_refused(
    client: Callable[[str], Any], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    write_export(client("s3"), [[row(f"{number}.jpg") for number in range(3)]], **changes)
    with pytest.raises(InvalidInputError, match=told):
        export(client("s3"), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("manifest-files.json", "[1]", "is not an object of JSON"),
        ("manifest-files.json", "{", "is not JSON"),
        ("manifest-files.json", '{"itemCount": 3}', "is no list of an export's files"),
        ("manifest-summary.json", "{}", "is no summary of an export"),
    ],
)
def test_manifests_that_are_none(client: Callable[[str], Any], tmp_path: Path, name: str, text: str, told: str) -> None:
    write_export(client("s3"), [[row(f"{number}.jpg") for number in range(3)]])
    put(client("s3"), name, text)
    with pytest.raises(StepvecError, match=told):
        export(client("s3"), tmp_path / "out")


def test_rows_that_a_file_lacks_are_missed(client: Callable[[str], Any], tmp_path: Path) -> None:
    write_export(client("s3"), [[row("a.jpg"), row("b.jpg")]], itemCount=3)
    listed = {"itemCount": 3, "dataFileS3Key": f"{FOLDER.key}data/file0.json.gz"}
    put(client("s3"), "manifest-files.json", json.dumps(listed))
    with pytest.raises(StorageError, match="has 2 rows; its manifest says 3"):
        export(client("s3"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Exporting:
    """DynamoDB's two calls, as botocore's model has their answers."""

    def __init__(self, end: dict[str, Any]) -> None:
        self.asked: dict[str, Any] = {}
        self.answers = [{"ExportStatus": "IN_PROGRESS"}, {"ExportStatus": "IN_PROGRESS"}, end]

    def describe_table(self, TableName: str) -> Any:
        return {"Table": {"TableArn": f"arn:aws:dynamodb:eu-west-1:1:table/{TableName}"}}

    def export_table_to_point_in_time(self, **request: Any) -> Any:
        self.asked = request
        return self.describe_export("arn")

    def describe_export(self, ExportArn: str) -> Any:
        return {"ExportDescription": {"ExportArn": "arn", **self.answers.pop(0)}}


def test_one_is_started_and_waited_for() -> None:
    manifest = f"{FOLDER.key}manifest-summary.json"
    dynamodb = Exporting({"ExportStatus": "COMPLETED", "ExportManifest": manifest})
    waits: list[float] = []
    found = start_point_in_time(dynamodb, "Vectors", S3Uri(BUCKET, "2026-Nov/"), sleep=waits.append, poll_seconds=7)
    assert found == FOLDER
    assert waits == [7, 7]
    assert (dynamodb.asked["S3Bucket"], dynamodb.asked["S3Prefix"]) == (BUCKET, "2026-Nov")


def test_one_that_fails_says_why() -> None:
    dynamodb = Exporting({"ExportStatus": "FAILED", "FailureCode": "S3AccessDenied", "FailureMessage": "no"})
    with pytest.raises(StorageError, match="S3AccessDenied no"):
        start_point_in_time(dynamodb, "Vectors", S3Uri(BUCKET, "x"), sleep=lambda _: None)
