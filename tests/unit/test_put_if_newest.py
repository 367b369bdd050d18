"""Two versions of one object meet in the table: the one that the bucket has now stays. S3 and DynamoDB are moto's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from stepvec_worker.storage.rows import PUT_ATTEMPTS, put_if_newest

from stepvec.adapters.object_store import ObjectStore, ObjectVersion
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import StorageError
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.outcome import FailureReason, ImageFailure


@dataclass
class Cloud:
    s3: Any
    store: ObjectStore
    table: VectorTable

    def upload(self, body: bytes) -> VectorItem:
        """The object's new version, and the row that a worker would make of it."""
        self.s3.put_object(Bucket="images", Key="a.jpg", Body=body)
        version = self.store.version("images", "a.jpg")
        assert version
        return row(version.etag, version.modified)

    def embed(self, item: VectorItem) -> ImageFailure | None:
        return put_if_newest(self.table, item, lambda key: self.store.version("images", key))

    def stored(self) -> RowMetadata:
        (found,) = self.table.metadata(["a.jpg"], consistent=True)
        return found["a.jpg"]


def row(etag: str, modified: datetime) -> VectorItem:
    return VectorItem("a.jpg", bytes(4), "float32", 1, datetime.now(UTC), "a.jpg", etag, "m", "r", modified)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        dynamodb.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "ImageId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "ImageId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="images")
        yield Cloud(s3, ObjectStore(s3), VectorTable(dynamodb, "t", sleep=lambda seconds: None, threads=1))


def test_an_older_version_that_comes_late_is_refused(cloud: Cloud) -> None:
    old = cloud.upload(b"old")
    time.sleep(1.1)
    new = cloud.upload(b"new")
    assert cloud.embed(new) is None
    refused = cloud.embed(old)
    assert refused is not None
    assert (refused.reason, refused.key) == (FailureReason.CHANGED, "a.jpg")
    assert "a newer version of it is stored already" in refused.message
    assert cloud.stored().etag == new.etag


@pytest.mark.parametrize("old_first", [True, False])
def test_of_two_versions_of_one_second_the_one_that_the_bucket_has_stays(cloud: Cloud, old_first: bool) -> None:
    new = cloud.upload(b"new")
    assert new.modified
    old = row("etag-of-the-one-before", new.modified)
    outcomes = {item.etag: cloud.embed(item) for item in ((old, new) if old_first else (new, old))}
    assert cloud.stored().etag == new.etag
    assert outcomes[new.etag] is None
    assert (outcomes[old.etag] is None) is old_first


def test_an_older_version_that_was_brought_back_is_stored(cloud: Cloud) -> None:
    # The newer one was deleted from a versioned bucket: its row has a later Modified than the object now.
    back = cloud.upload(b"old")
    assert back.modified
    assert cloud.embed(row("deleted", back.modified + timedelta(hours=1))) is None
    assert cloud.embed(back) is None
    assert cloud.stored().etag == back.etag
    assert cloud.stored().modified == int(back.modified.timestamp())


def test_an_object_that_is_gone_is_not_found(cloud: Cloud) -> None:
    old = cloud.upload(b"old")
    assert old.modified
    cloud.embed(row("newer", old.modified + timedelta(hours=1)))
    cloud.s3.delete_object(Bucket="images", Key="a.jpg")
    refused = cloud.embed(old)
    assert refused is not None
    assert refused.reason is FailureReason.NOT_FOUND


class Restless:
    """A table whose row is another one each time."""

    def __init__(self) -> None:
        self.puts = 0

    def put(self, item: VectorItem, *, over: RowMetadata | None = None) -> RowMetadata | None:
        self.puts += 1
        return RowMetadata("a.jpg", "a.jpg", f"e{self.puts}", "m", "r", self.puts)


def test_a_row_that_never_rests_is_an_error_after_some_rounds() -> None:
    table, now = Restless(), datetime.now(UTC)
    with pytest.raises(StorageError, match="changed 5 times"):
        put_if_newest(table, row("mine", now), lambda key: ObjectVersion("mine", now))
    assert table.puts == PUT_ATTEMPTS + 1
