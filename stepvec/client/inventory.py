"""An S3 Inventory in Parquet or ORC as one in CSV, which ListImages reads without pyarrow (decision 0093)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from stepvec.adapters.object_store import ObjectStore
from stepvec.errors import InvalidInputError
from stepvec.runs.layout import S3Uri

BATCH_ROWS: Final = 16_384
COLUMNS: Final = {
    "bucket": "Bucket",
    "key": "Key",
    "is_latest": "IsLatest",
    "is_delete_marker": "IsDeleteMarker",
    "size": "Size",
    "e_tag": "ETag",
    "storage_class": "StorageClass",
    "intelligent_tiering_access_tier": "IntelligentTieringAccessTier",
    "encryption_status": "EncryptionStatus",
}
"""The columns that ListImages uses, by their names in Parquet and ORC and in CSV.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""


def inventory_as_csv(
    store: ObjectStore, manifest: S3Uri, work_bucket: str, *, on_file: Callable[[int, int], None] = lambda *_: None
) -> S3Uri:
    """Write the inventory that `manifest` (its manifest.json) names to the work bucket as CSV, and return the manifest
    of that, for an input's `Manifest`.

    A file at a time is on disk, and a batch of its rows in memory. `on_file` is told how many of how many files are
    done. The same inventory is written to the same place. Raises InvalidInputError for anything else than an inventory
    in Parquet or ORC.
    """
    with store.open(manifest) as stream:
        text = stream.read()
    try:
        inventory = json.loads(text)
        batches = _READERS[inventory["fileFormat"]]
        source = S3Uri(str(inventory["destinationBucket"]).removeprefix("arn:aws:s3:::"), "")
        keys = [str(entry["key"]) for entry in inventory["files"]]
        described = {"sourceBucket": inventory["sourceBucket"], "destinationBucket": f"arn:aws:s3:::{work_bucket}"}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{manifest} is not the manifest of an S3 Inventory in Parquet or ORC ({error!r:.200}).",
            remedy="Give the manifest.json that S3 Inventory wrote. One in CSV needs no conversion.",
        ) from error
    folder = f"inventories/{hashlib.sha256(text).hexdigest()[:32]}"
    files: list[dict[str, Any]] = []
    for number, key in enumerate(keys):
        target = S3Uri(work_bucket, f"{folder}/{number}.csv.gz")
        with store.open(S3Uri(source.bucket, key)) as stream, tempfile.TemporaryFile() as written:
            try:
                _write_csv(batches(stream), written)
            except (pa.ArrowException, OSError) as error:
                raise InvalidInputError(
                    f"s3://{source.bucket}/{key} cannot be read ({error!s:.200}).", remedy="Have it written again."
                ) from error
            files.append({"key": target.key, "size": written.tell()})
            written.seek(0)
            store.upload(target, written)
        on_file(number + 1, len(keys))
    described |= {"fileFormat": "CSV", "fileSchema": ", ".join(COLUMNS.values()), "files": files}
    converted = S3Uri(work_bucket, f"{folder}/manifest.json")
    store.write(converted, json.dumps(described).encode())
    return converted


def _parquet(stream: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(stream)
    wanted = [name for name in file.schema_arrow.names if name in COLUMNS]
    yield from file.iter_batches(batch_size=BATCH_ROWS, columns=wanted)


def _orc(stream: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file = orc.ORCFile(stream)
    wanted = [name for name in file.schema.names if name in COLUMNS]
    for number in range(file.nstripes):
        stripe = file.read_stripe(number, columns=wanted)
        for start in range(0, stripe.num_rows, BATCH_ROWS):
            yield stripe.slice(start, BATCH_ROWS)


_READERS: Final[dict[str, Callable[[IO[bytes]], Iterator[pa.RecordBatch]]]] = {"Parquet": _parquet, "ORC": _orc}


def _write_csv(batches: Iterator[pa.RecordBatch], target: IO[bytes]) -> None:
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=5, mtime=0) as packed:
        text = io.TextIOWrapper(packed, "utf-8", newline="")
        rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for batch in batches:
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            if "key" not in columns:
                raise OSError("it has no column `key`")
            missing = [None] * batch.num_rows
            rows.writerows(
                [_cell(COLUMNS[name], value) for name, value in zip(COLUMNS, row, strict=True)]
                for row in zip(*(columns.get(name, missing) for name in COLUMNS), strict=True)
            )
        text.flush()
        text.detach()


def _cell(column: str, value: Any) -> str:
    if column == "Key":
        return urllib.parse.quote_plus(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    defaults = {"IsLatest": "true", "IsDeleteMarker": "false"}
    return defaults.get(column, "") if value is None else str(value)
