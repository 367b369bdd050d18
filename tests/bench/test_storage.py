"""The bench's storage stand-in, asked by boto3 as the worker and its peers ask it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from testkit.storage.client import IMAGE_BUCKET, TABLE, WORK_BUCKET, Storage, running_storage
from testkit.storage.conditions import ConditionError, parse_condition
from testkit.storage.server import Latency

PHOTOS = {"a.jpg": b"first" * 20_000, "b.jpg": b"second"}
NEWER = {
    "ConditionExpression": "attribute_not_exists(ImageId) OR #modified <= :modified",
    "ExpressionAttributeNames": {"#modified": "Modified"},
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    folder = tmp_path_factory.mktemp("photos")
    for name, content in PHOTOS.items():
        (folder / name).write_bytes(content)
    with running_storage(folder, copies=600, latency=Latency()) as running:
        yield running


def client(storage: Storage, service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=storage.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )


@pytest.fixture
def s3(storage: Storage) -> Any:
    storage.reset()
    return client(storage, "s3")


@pytest.fixture
def dynamodb(storage: Storage) -> Any:
    storage.reset()
    return client(storage, "dynamodb")


def test_every_copy_is_listed_with_size_and_etag(s3):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=IMAGE_BUCKET, Prefix="photos/")
    objects = [entry for page in pages for entry in page["Contents"]]
    assert len({entry["Key"] for entry in objects}) == len(objects) == 1200
    last = objects[-1]
    assert (last["Key"], last["Size"]) == ("photos/0599/b.jpg", len(PHOTOS["b.jpg"]))
    head = s3.head_object(Bucket=IMAGE_BUCKET, Key=last["Key"])
    assert (head["ETag"], head["ContentLength"]) == (last["ETag"], last["Size"])
    after = s3.list_objects_v2(Bucket=IMAGE_BUCKET, Prefix="photos/", StartAfter="photos/0599/a.jpg")
    assert [entry["Key"] for entry in after["Contents"]] == ["photos/0599/b.jpg"]
    assert not after["IsTruncated"]


def test_get_gives_the_bytes_only_under_the_listed_etag(s3):
    answer = s3.get_object(Bucket=IMAGE_BUCKET, Key="photos/0001/a.jpg")
    assert answer["Body"].read() == PHOTOS["a.jpg"]
    assert answer["LastModified"].tzinfo is not None
    same = s3.get_object(Bucket=IMAGE_BUCKET, Key="photos/0001/a.jpg", IfMatch=answer["ETag"])
    assert same["Body"].read() == PHOTOS["a.jpg"]
    for key, more, code in (
        ("photos/0001/a.jpg", {"IfMatch": '"other"'}, "PreconditionFailed"),
        ("photos/0001/c.jpg", {}, "NoSuchKey"),
    ):
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket=IMAGE_BUCKET, Key=key, **more)
        assert refused.value.response["Error"]["Code"] == code


def test_what_is_put_is_there_whatever_its_key(s3):
    key = "runs/a b+ü/1.json"
    s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=b"{}")
    assert s3.get_object(Bucket=WORK_BUCKET, Key=key)["Body"].read() == b"{}"
    s3.upload_fileobj(io.BytesIO(b"0123456789"), WORK_BUCKET, "digits")
    assert s3.get_object(Bucket=WORK_BUCKET, Key="digits", Range="bytes=3-5")["Body"].read() == b"345"


def test_a_put_with_a_condition_is_refused_where_it_does_not_hold(s3):
    put = lambda **condition: s3.put_object(Bucket="conditions", Key="one", Body=b"x", **condition)["ETag"]  # noqa: E731
    with pytest.raises(ClientError, match="NoSuchKey"):
        put(IfMatch="0" * 32)
    etag = put(IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        put(IfNoneMatch="*")
    assert put(IfMatch=etag) == etag
    with pytest.raises(ClientError, match="PreconditionFailed"):
        put(IfMatch="0" * 32)


def test_rows_are_kept_and_counted(storage, dynamodb):
    rows = [{"ImageId": {"S": str(number)}, "Vector": {"B": bytes([number]) * 2048}} for number in range(25)]
    dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": row}} for row in rows]})
    dynamodb.put_item(TableName=TABLE, Item={"ImageId": {"S": "one"}, "ETag": {"S": "e"}, "Model": {"S": "m"}})
    wanted = {
        "Keys": [{"ImageId": {"S": name}} for name in ("one", "none")],
        "ProjectionExpression": "ImageId, #ETag",
        "ExpressionAttributeNames": {"#ETag": "ETag"},
        "ConsistentRead": True,
    }
    answer = dynamodb.batch_get_item(RequestItems={TABLE: wanted}, ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"][TABLE] == [{"ImageId": {"S": "one"}, "ETag": {"S": "e"}}]
    assert answer["ConsumedCapacity"] == [{"TableName": TABLE, "CapacityUnits": 2.0}]
    counts = storage.counts()
    assert [rows for _, rows in counts.stored] == [25, 1]
    assert len(storage.rows()) == 26
    assert counts.cpu_seconds > 0
    with pytest.raises(ClientError, match="puts, please"):
        dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": row}} for row in [*rows, *rows]]})


def test_an_older_object_never_overwrites_a_newer_one(storage, dynamodb):
    def put(modified: int) -> None:
        number = {"N": str(modified)}
        item = {"ImageId": {"S": "1"}, "Modified": number}
        dynamodb.put_item(TableName=TABLE, Item=item, ExpressionAttributeValues={":modified": number}, **NEWER)

    put(9)
    put(10)
    with pytest.raises(ClientError) as refused:
        put(8)
    assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert storage.rows()["1"]["Modified"] == {"N": "10"}
    assert sum(rows for _, rows in storage.counts().stored) == 2


def test_what_it_does_not_know_it_refuses(dynamodb):
    with pytest.raises(ClientError) as refused:
        dynamodb.describe_table(TableName=TABLE)
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    with pytest.raises(ClientError, match="Invalid ConditionExpression"):
        dynamodb.put_item(TableName=TABLE, Item={"ImageId": {"S": "1"}}, ConditionExpression="size(Vector) > ImageId")


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("attribute_exists(A) AND NOT attribute_exists(B)", True),
        ("#n = :two OR A = :one AND A <> :one", True),
        ("(#n = :two OR A = :one) AND A <> :one", False),
        ("A > :text", False),
        ("B < :one", False),
        ("A >= :one AND A <= :one", True),
    ],
)
def test_conditions(expression, holds):
    values = {":one": {"N": "1.0"}, ":two": {"S": "2"}, ":text": {"S": "0"}}
    item = {"A": {"N": "1"}, "C": {"S": "2"}}
    assert parse_condition(expression)(item, {"#n": "C"}, values) is holds


@pytest.mark.parametrize("expression", ["A", "A = :b AND", "(A = :b", "A = :b :c", "begins_with A", "A ? :b"])
def test_conditions_that_are_not_understood_are_refused(expression):
    with pytest.raises(ConditionError):
        parse_condition(expression)


def test_latency_delays_the_answer_and_keeps_one_request_from_the_next(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"a")
    with running_storage(tmp_path, copies=1, latency=Latency(s3=0.2, dynamodb=0.0)) as slow:
        s3 = client(slow, "s3")
        start = time.monotonic()
        answers = [s3.get_object(Bucket=IMAGE_BUCKET, Key="photos/0000/a.jpg") for _ in range(2)]
        assert [answer["Body"].read() for answer in answers] == [b"a", b"a"]
        assert time.monotonic() - start >= 0.4
        # Waiting costs nothing.
        assert slow.counts().cpu_seconds < 0.2
