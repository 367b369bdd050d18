"""An S3 Inventory in Parquet or ORC becomes one in CSV that ListImages reads, in memory that does not grow."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from lambdas.list_images.manifest import open_manifest
from stepvec.client.inventory import inventory_as_csv
from stepvec.errors import InvalidInputError
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import FailureReason
from stepvec.runs.steps import ListingCursor
from tests.fakes import MemoryStore

MANIFEST = S3Uri("work", "inv/manifest.json")


def table(rows: int) -> pa.Table:
    return pa.table(
        {
            "bucket": ["images"] * rows,
            "key": [f"a b/ü+{number}%.jpg" for number in range(rows)],
            "is_latest": [number % 5 != 4 for number in range(rows)],
            "is_delete_marker": [False] * rows,
            "size": pa.array(range(rows), pa.int64()),
            "last_modified_date": pa.array([0] * rows, pa.timestamp("ms")),
            "e_tag": [f"e{number}" for number in range(rows)],
            "storage_class": ["GLACIER" if number % 7 == 0 else "STANDARD" for number in range(rows)],
        }
    )


def file_of(rows: pa.Table, kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "Parquet":
        pq.write_table(rows, stream, row_group_size=100)
    else:
        orc.write_table(rows, stream, stripe_size=4096)
    return stream.getvalue()


def inventory(kind: str, files: list[bytes]) -> MemoryStore:
    store = MemoryStore()
    for number, body in enumerate(files):
        store.write(S3Uri("work", f"inv/{number}"), body)
    document = {
        "sourceBucket": "images",
        "destinationBucket": "arn:aws:s3:::work",
        "fileFormat": kind,
        "fileSchema": "message s3.inventory { required binary key (STRING); }",
        "files": [{"key": f"inv/{number}", "size": len(body)} for number, body in enumerate(files)],
    }
    store.write(MANIFEST, json.dumps(document).encode())
    return store


def listed(store: MemoryStore, manifest: S3Uri) -> list[ListedImage]:
    source = open_manifest(store, manifest, image_bucket="images", buckets=("images", "work"))
    return [image for page in source.pages(ListingCursor()) for image in page.objects]


@pytest.mark.parametrize("kind", ["Parquet", "ORC"])
def test_what_it_lists_is_what_the_inventory_says(kind: str) -> None:
    store = inventory(kind, [file_of(table(1000), kind), file_of(table(3), kind)])
    told: list[Any] = []
    manifest = inventory_as_csv(store, MANIFEST, "work", on_file=lambda *done: told.append(done))
    images = listed(store, manifest)
    wanted = [number for rows in (1000, 3) for number in range(rows) if number % 5 != 4]
    assert [(image.key, image.size, image.etag) for image in images] == [
        (f"a b/ü+{number}%.jpg", number, f"e{number}") for number in wanted
    ]
    archived = [image.refused and image.refused.reason for image in images]
    assert archived == [FailureReason.ARCHIVED if number % 7 == 0 else None for number in wanted]
    assert told == [(1, 2), (2, 2)]
    before = dict(store.files)
    assert inventory_as_csv(store, MANIFEST, "work") == manifest
    assert store.files == before


@pytest.mark.parametrize("kind", ["Parquet", "ORC"])
def test_columns_that_are_not_there_are_left_out(kind: str) -> None:
    store = inventory(kind, [file_of(table(3).select(["bucket", "key"]), kind)])
    for number in range(3):
        store.add_image("images", f"a b/ü+{number}%.jpg", size=9, etag="now")
    assert [(image.size, image.etag) for image in listed(store, inventory_as_csv(store, MANIFEST, "work"))] == [
        (9, "now")
    ] * 3


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        ("CSV", b"", "not the manifest of an S3 Inventory in Parquet or ORC"),
        ("Parquet", b"no parquet", "inv/0 cannot be read"),
        ("ORC", b"no orc", "inv/0 cannot be read"),
        ("Parquet", file_of(table(3).select(["size"]), "Parquet"), "has no column `key`"),
    ],
)
def test_what_is_not_one_is_refused(kind: str, body: bytes, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        inventory_as_csv(inventory(kind, [body]), MANIFEST, "work")
