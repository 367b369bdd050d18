"""DynamoDB's own export of a table to S3, as a source: it reads nothing from the table.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError, StorageError
from stepvec.export.format import ExportOrigin
from stepvec.export.selection import Selection
from stepvec.export.sources import SourcePage
from stepvec.runs.layout import S3Uri

SUMMARY: Final = "manifest-summary.json"
FILES: Final = "manifest-files.json"
ROOT: Final = "AWSDynamoDB/"
"""What DynamoDB puts between the prefix that one names and the export's own folder."""
LANES: Final = 4
"""Files that are read at a time: each is on disk, or in up to 32 MB of memory, while it is."""
PAGE_ROWS: Final = 256
POLL_SECONDS: Final = 15.0
_HASHED_BYTES: Final = 1024 * 1024
_REMEDY: Final = "Give the folder of a full export in DynamoDB JSON: s3://BUCKET/PREFIX/AWSDynamoDB/ID/."
_AGAIN: Final = "Have the table exported again (stepvec export --start-export)."


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of rows: gzipped JSON Lines. `md5` is base64."""

    uri: S3Uri
    items: int
    md5: str


class PointInTimeSource:
    """The finished export in the folder `uri`, of a table as it was at one moment. Raises InvalidInputError."""

    def __init__(self, store: ObjectStore, uri: S3Uri, selection: Selection, image_bucket: str) -> None:
        self._store = store
        self._selection = selection
        folder = S3Uri(uri.bucket, uri.key.removesuffix(SUMMARY).removesuffix(FILES).rstrip("/") + "/")
        summary = self._summary(folder)
        self._files = self._data_files(folder)
        self.lanes = min(LANES, len(self._files)) or 1
        arn = str(summary["tableArn"]).split(":")
        self.origin = ExportOrigin(
            arn[5].removeprefix("table/"),
            arn[3],
            image_bucket,
            "point-in-time",
            str(folder),
            str(summary["exportTime"]),
        )
        told, listed = int(summary["itemCount"]), sum(file.items for file in self._files)
        if told != listed:
            raise InvalidInputError(
                f"The export in {folder} should have {told:,} rows, and its files {listed:,}.", remedy=_REMEDY
            )

    def pages(self, lane: int, cursor: str, stopped: threading.Event) -> Iterator[SourcePage]:
        """As Source has it. A cursor is the number of a file, and how many of its rows are done."""
        file, done = map(int, cursor.split(":")) if cursor else (lane, 0)
        while file < len(self._files):
            for items, so_far in self._rows(self._files[file], done):
                yield SourcePage(items, f"{file}:{so_far}", 0.0)
                if stopped.is_set():
                    return
            file, done = file + self.lanes, 0
        yield SourcePage([], None, 0.0)

    def _rows(self, file: DataFile, done: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
        """The rows of a file after the first `done`, those that are selected, and how many came up to there."""
        with self._store.open(file.uri) as stream:
            _check_md5(file, stream)
            lines: Iterator[bytes] = iter(gzip.GzipFile(fileobj=stream, mode="rb"))
            try:
                for _ in islice(lines, done):
                    pass
                while page := list(islice(lines, PAGE_ROWS)):
                    done += len(page)
                    items = [_item(file, line) for line in page]
                    yield [item for item in items if self._selection.covers(item)], done
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise StorageError(f"{file.uri} cannot be unzipped: {error}.", remedy=_AGAIN) from error
        if done != file.items:
            raise StorageError(f"{file.uri} has {done:,} rows; its manifest says {file.items:,}.", remedy=_AGAIN)

    def _summary(self, folder: S3Uri) -> dict[str, Any]:
        at = S3Uri(folder.bucket, f"{folder.key}{SUMMARY}")
        if not self._store.exists(at):
            raise InvalidInputError(
                f"{folder} is no finished export of DynamoDB: it has no {SUMMARY}.",
                remedy=f"{_REMEDY} Or wait for its end.",
            )
        with self._store.open(at) as stream:
            summary = _document(at, stream.read())
        missing = {"tableArn", "exportTime", "itemCount"} - summary.keys()
        if missing or str(summary["tableArn"]).count(":") < 5:
            raise InvalidInputError(f"{at} is no summary of an export.", remedy=_REMEDY)
        if summary.get("outputFormat", "DYNAMODB_JSON") != "DYNAMODB_JSON":
            raise InvalidInputError(f"{folder} is in the format {summary['outputFormat']}.", remedy=_REMEDY)
        if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
            raise InvalidInputError(
                f"{folder} is an incremental export, which has changes instead of rows.",
                remedy=f"{_REMEDY} --since RUN takes the newer rows of a full one.",
            )
        return summary

    def _data_files(self, folder: S3Uri) -> list[DataFile]:
        at = S3Uri(folder.bucket, f"{folder.key}{FILES}")
        with self._store.open(at) as stream:
            entries = [_document(at, line) for line in stream.read().splitlines() if line.strip()]
        before = folder.key.rpartition(ROOT)[0]
        try:
            return [
                # An export may have been copied: its files lie where its manifest does, whatever that says.
                DataFile(
                    S3Uri(folder.bucket, f"{before}{ROOT}{entry['dataFileS3Key'].rpartition(ROOT)[2]}"),
                    int(entry["itemCount"]),
                    entry.get("md5Checksum", ""),
                )
                for entry in entries
                if int(entry["itemCount"])
            ]
        except (KeyError, ValueError, AttributeError) as error:
            raise InvalidInputError(f"{at} is no list of an export's files ({error!r}).", remedy=_REMEDY) from error


def start_point_in_time(
    client: Any,
    table: str,
    target: S3Uri,
    *,
    on_wait: Callable[[], None] = lambda: None,
    poll_seconds: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> S3Uri:
    """Have DynamoDB export `table` as it is now to the prefix `target`, wait for it, and return the export's folder.

    Raises StorageError where DynamoDB says that it failed; AWS's own refusals as boto3 raises them.
    """
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]
    prefix: dict[str, Any] = {"S3Prefix": target.key.rstrip("/")} if target.key.rstrip("/") else {}
    answer = client.export_table_to_point_in_time(
        TableArn=arn, S3Bucket=target.bucket, ExportFormat="DYNAMODB_JSON", **prefix
    )
    export = answer["ExportDescription"]
    while export["ExportStatus"] == "IN_PROGRESS":
        on_wait()
        sleep(poll_seconds)
        export = client.describe_export(ExportArn=export["ExportArn"])["ExportDescription"]
    if export["ExportStatus"] != "COMPLETED":
        raise StorageError(
            f"DynamoDB did not export the table: {export.get('FailureCode')} {export.get('FailureMessage')}.",
            remedy="Correct what it names: most often that it may not write to the bucket.",
        )
    return S3Uri(target.bucket, str(export["ExportManifest"]).removesuffix(SUMMARY))


def _check_md5(file: DataFile, stream: IO[bytes]) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    while block := stream.read(_HASHED_BYTES):
        digest.update(block)
    stream.seek(0)
    if file.md5 and base64.b64encode(digest.digest()).decode() != file.md5:
        raise StorageError(f"{file.uri} is not what DynamoDB wrote: its MD5 differs.", remedy=_AGAIN)


def _item(file: DataFile, line: bytes) -> dict[str, Any]:
    item = _document(file.uri, line).get("Item")
    if not isinstance(item, dict):
        raise InvalidInputError(f"{file.uri} has a line without an Item.", remedy=_REMEDY)
    return item


def _document(at: S3Uri, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{at} is not JSON ({error}).", remedy=_REMEDY) from error
    if not isinstance(document, dict):
        raise InvalidInputError(f"{at} is not an object of JSON.", remedy=_REMEDY)
    return document
