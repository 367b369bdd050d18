"""Contract: what the pipeline relies on in S3 and DynamoDB. Most of it moto does itself; an update must not lose it."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from moto.core import serialize
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey, S3Backend, s3_backends

from localaws.patches.moto_state import ACCOUNT

ODD_KEYS = [
    "odd/with space.jpg",
    "odd/plus+and%20percent%.jpg",
    "odd/ünï/日本.jpg",
    "odd/new\nline.jpg",
    "odd/tab\tand'\"quotes<&>.jpg",
    "odd/a//b/../c.jpg",
    "odd/emoji-😀.jpg",
    "odd/question?mark#hash.jpg",
    "odd/trailing ",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_is_stored_listed_read_and_deleted(sample, key):
    """[s3_newlines]"""
    bucket = sample.data["BucketName"]
    sample.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    listed = [entry["Key"] for entry in sample.s3.list_objects_v2(Bucket=bucket, Prefix="odd/")["Contents"]]
    assert key in listed
    assert sample.s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"][0]["Key"] == key
    body: StreamingBody = sample.s3.get_object(Bucket=bucket, Key=key)["Body"]
    assert body.read() == key.encode()
    assert sample.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    sample.s3.delete_object(Bucket=bucket, Key=key)
    assert sample.s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


def test_listing_goes_on_after_a_page_and_after_a_key(sample):
    bucket = sample.data["BucketName"]
    keys = [f"pages/{n:02d} +%é" for n in range(7)]
    for key in keys:
        sample.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = sample.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="pages/", PaginationConfig={"PageSize": 3}
    )
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
    after = sample.s3.list_objects_v2(Bucket=bucket, Prefix="pages/", StartAfter=keys[4])
    assert [entry["Key"] for entry in after["Contents"]] == keys[5:]


def test_a_page_of_a_listing_sorts_no_more_than_itself(sample, monkeypatch):
    """[s3_listing_pages]"""
    bucket = f"listed-{uuid.uuid4().hex}"
    sample.s3.create_bucket(Bucket=bucket)
    sample.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = ["a", "b/1", "b/10", "b/2", "b/é", "b/日本", "b/😀", "c"]
    for key in (*reversed(keys), "b/gone"):
        sample.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    sample.s3.delete_object(Bucket=bucket, Key="b/gone")
    whole: dict[str, list[str]] = {"all": [], "b/": []}
    monkeypatch.setattr(S3Backend, "list_objects", None)  # moto's own, which sorts all keys
    for prefix, found in whole.items():
        pages = sample.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix.removeprefix("all"), PaginationConfig={"PageSize": 2}
        )
        for page in pages:
            assert page["KeyCount"] == len(page["Contents"]) <= 2
            found += [entry["Key"] for entry in page["Contents"]]
    assert whole == {"all": keys, "b/": keys[1:-1]}
    assert sample.s3.list_objects_v2(Bucket=bucket, Prefix="none")["KeyCount"] == 0


def test_answers_are_serialized_without_a_search(sample, monkeypatch):
    """[server_serializer] [server_method_names]"""
    bucket = sample.data["BucketName"]
    sample.s3.put_object(Bucket=bucket, Key="serialized", Body=b"x")
    stored = sample.s3.head_object(Bucket=bucket, Key="serialized")["LastModified"]
    searched: list[Any] = []

    def counted(original: Any) -> Any:
        def call(*arguments: Any) -> Any:
            searched.append(arguments)
            return original(*arguments)

        return call

    def parse(value: Any, original: Any = serialize.parse_to_aware_datetime) -> Any:
        searched.extend([value] if isinstance(value, str) else [])
        return original(value)

    def ask() -> Any:
        sample.cloud.client("dynamodb").list_tables()
        (listed,) = sample.s3.list_objects_v2(Bucket=bucket, Prefix="serialized")["Contents"]
        return listed["LastModified"]

    assert ask() == stored
    monkeypatch.setattr(serialize, "xform_name", counted(serialize.xform_name))
    monkeypatch.setattr(inspect, "getmembers", counted(inspect.getmembers))
    monkeypatch.setattr(serialize, "parse_to_aware_datetime", parse)
    assert ask() == stored
    assert searched == []


def test_put_if_none_match(sample):
    bucket = sample.data["BucketName"]
    sample.s3.put_object(Bucket=bucket, Key="first", Body=b"one", IfNoneMatch="*")
    with pytest.raises(ClientError) as failed:
        sample.s3.put_object(Bucket=bucket, Key="first", Body=b"two", IfNoneMatch="*")
    assert failed.value.response["Error"]["Code"] == "PreconditionFailed"
    assert sample.s3.get_object(Bucket=bucket, Key="first")["Body"].read() == b"one"


def test_get_if_match(sample):
    bucket = sample.data["BucketName"]
    etag = sample.s3.put_object(Bucket=bucket, Key="match", Body=b"one")["ETag"]
    assert sample.s3.get_object(Bucket=bucket, Key="match", IfMatch=etag)["Body"].read() == b"one"
    sample.s3.put_object(Bucket=bucket, Key="match", Body=b"two")
    with pytest.raises(ClientError) as failed:
        sample.s3.get_object(Bucket=bucket, Key="match", IfMatch=etag)
    assert failed.value.response["Error"]["Code"] == "PreconditionFailed"
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


@pytest.mark.parametrize("change", ["put_object", "delete_object"])
def test_what_is_replaced_meanwhile_is_read_whole(sample, change):
    """[s3_reads_while_replaced]"""
    where = {"Bucket": sample.data["BucketName"], "Key": "replaced"}
    etag = sample.s3.put_object(**where, Body=b"one")["ETag"]
    # As a GET has it in hand, before it reads the bytes.
    found = s3_backends[ACCOUNT]["aws"].get_object(where["Bucket"], where["Key"])
    getattr(sample.s3, change)(**where, **({"Body": b"other"} if change == "put_object" else {}))
    assert (found.value, found.etag) == (b"one", etag)


def test_etags_asked_for_at_once_are_those_of_the_bytes(monkeypatch):
    """[s3_reads_while_replaced]"""
    body = bytes(range(256)) * 4
    key = FakeKey("key", body, ACCOUNT, "us-east-1")
    file = key._value_buffer

    class Slow:
        seek = file.seek

        def read(self, *size):
            time.sleep(0.01)
            return file.read(*size)

    monkeypatch.setattr(key, "_value_buffer", Slow())
    with ThreadPoolExecutor(4) as pool:
        etags = set(pool.map(lambda _: key.etag, range(8)))
    assert etags == {f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}


def puts(*keys) -> Any:
    return [{"PutRequest": {"Item": {"pk": {"S": str(key)}}}} for key in keys]


SAME_KEY = [*puts(1), {"PutRequest": {"Item": {"pk": {"S": "1"}, "more": {"S": "x"}}}}]
PUT_AND_DELETE = [*puts(1), {"DeleteRequest": {"Key": {"pk": {"S": "1"}}}}]


@pytest.mark.parametrize(
    "requests",
    [puts(*range(26)), puts(1, 1), SAME_KEY, PUT_AND_DELETE],
    ids=["26 items", "twice", "same key", "put and delete"],
)
def test_batch_write_limits(sample, requests):
    """[dynamodb_batch_write]"""
    with pytest.raises(ClientError) as refused:
        sample.cloud.client("dynamodb").batch_write_item(RequestItems={sample.data["TableName"]: requests})
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("keys", [list(range(101)), [1, 1]], ids=["101 keys", "twice"])
def test_batch_get_limits(sample, keys):
    wanted = {"Keys": [{"pk": {"S": str(key)}} for key in keys]}
    with pytest.raises(ClientError) as refused:
        sample.cloud.client("dynamodb").batch_get_item(RequestItems={sample.data["TableName"]: wanted})
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_batch_write_and_get_of_as_many_as_allowed(sample):
    dynamodb, table = sample.cloud.client("dynamodb"), sample.data["TableName"]
    for start in range(0, 100, 25):
        dynamodb.batch_write_item(RequestItems={table: puts(*range(start, start + 25))})
    wanted = {"Keys": [{"pk": {"S": str(n)}} for n in range(100)]}
    found = dynamodb.batch_get_item(RequestItems={table: wanted})
    assert len(found["Responses"][table]) == 100
    assert found["UnprocessedKeys"] == {}


def test_binary_attribute_round_trip(sample):
    dynamodb, table = sample.cloud.client("dynamodb"), sample.data["TableName"]
    vector = bytes(range(256)) * 8
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "binary"}, "Vector": {"B": vector}})
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "binary"}})["Item"]
    assert item["Vector"]["B"] == vector


@pytest.fixture
def rows(sample) -> Any:
    """A table of 500 rows of some 6 KB: three pages of a Scan."""
    dynamodb = sample.cloud.client("dynamodb")
    name = f"rows-{uuid.uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    wanted: list[dict[str, Any]] = [
        {"pk": {"S": f"{number:03}-é"}, "Vector": {"B": bytes([number % 256]) * 6000}, "N": {"N": str(number)},
         "L": {"L": [{"S": "x"}, {"NULL": True}]}, "Flag": {"BOOL": number % 2 == 0}}
        for number in range(500)
    ]  # fmt: skip
    for start in range(0, 500, 25):
        dynamodb.batch_write_item(
            RequestItems={name: [{"PutRequest": {"Item": item}} for item in wanted[start : start + 25]]}
        )
    yield dynamodb, name, {item["pk"]["S"]: item for item in wanted}
    dynamodb.delete_table(TableName=name)


def scanned(dynamodb: Any, name: str, **options: Any) -> list[list[dict[str, Any]]]:
    """The pages of a Scan."""
    pages: list[list[dict[str, Any]]] = []
    more: dict[str, Any] = {}
    while True:
        answer = dynamodb.scan(TableName=name, **{**options, **more})
        pages.append(answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return pages
        more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def noted(calls: list[Any], what: Any) -> bool:
    """False, once the call is among `calls`: to be put before what is called in its place."""
    calls.append(what)
    return False


def without_patch(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """moto's own method, as it was before ours took its place."""
    ours = getattr(owner, name)
    monkeypatch.setattr(owner, name, inspect.getclosurevars(ours).nonlocals["original"])


def test_a_scan_gives_what_motos_own_gives_and_sorts_once(rows, monkeypatch):
    """[dynamodb_scan_pages]"""
    dynamodb, name, wanted = rows
    sorts: list[int] = []
    all_items = Table.all_items
    monkeypatch.setattr(Table, "all_items", lambda table: noted(sorts, 1) or all_items(table))
    odd: dict[str, Any] = {
        "FilterExpression": "Flag = :no AND begins_with(pk, :p)",
        "ExpressionAttributeValues": {":no": {"BOOL": False}, ":p": {"S": "1"}},
    }
    kinds: list[dict[str, Any]] = [{}, {"Limit": 7}, odd, *({"Segment": part, "TotalSegments": 3} for part in range(3))]
    found = [scanned(dynamodb, name, **options) for options in kinds]
    assert sorts == []
    assert {item["pk"]["S"]: item for page in found[0] for item in page} == wanted
    assert len(found[0]) > 2
    assert max(map(len, found[1])) == 7
    assert {item["pk"]["S"] for page in found[2] for item in page} == {
        key for key, item in wanted.items() if key.startswith("1") and not item["Flag"]["BOOL"]
    }
    parts = [{item["pk"]["S"] for page in pages for item in page} for pages in found[3:]]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 500
    without_patch(monkeypatch, Table, "scan")
    assert [scanned(dynamodb, name, **options) for options in kinds] == found
    assert sorts


def test_a_scan_sees_rows_that_come_and_go_between_its_pages_or_not(rows):
    dynamodb, name, wanted = rows
    first = dynamodb.scan(TableName=name, Limit=100)
    seen = {item["pk"]["S"] for item in first["Items"]}
    last = first["LastEvaluatedKey"]["pk"]["S"]
    dynamodb.delete_item(TableName=name, Key={"pk": {"S": last}})
    dynamodb.delete_item(TableName=name, Key={"pk": {"S": "400-é"}})
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "new"}})
    rest = scanned(dynamodb, name, ExclusiveStartKey=first["LastEvaluatedKey"])
    later = {item["pk"]["S"] for page in rest for item in page}
    assert later - {"new"} == set(wanted) - seen - {"400-é"}
    # One that begins now sees it, and so does one that goes on.
    assert {item["pk"]["S"] for page in scanned(dynamodb, name) for item in page} == {*wanted, "new"} - {last, "400-é"}


def test_a_projection_takes_what_motos_own_takes(rows, monkeypatch):
    """[dynamodb_projection] [dynamodb_answers]"""
    dynamodb, name, wanted = rows
    keys = [{"pk": {"S": key}} for key in list(wanted)[:5]]

    def read(projection: str) -> list[dict[str, Any]]:
        request = {"Keys": keys, "ProjectionExpression": projection, "ExpressionAttributeNames": {"#n": "N"}}
        found: list[dict[str, Any]] = dynamodb.batch_get_item(RequestItems={name: request})["Responses"][name]
        return found

    made: list[int] = []
    regular = Item.to_regular_json
    monkeypatch.setattr(Item, "to_regular_json", lambda item: noted(made, 1) or regular(item))
    kinds = ["pk, Vector, #n, L, Flag", "#n, gone"]
    found = [read(projection) for projection in kinds]
    assert found[0] == [wanted[key["pk"]["S"]] for key in keys]
    assert made == []
    member = serialize.ResponseSerializer._serialize_structure_member
    looked_for: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(
            serialize.ResponseSerializer,
            "_serialize_structure_member",
            lambda serializer, *given: noted(looked_for, given[-1]) or member(serializer, *given),
        )
        assert read(kinds[1]) == found[1]
    assert "Responses" in looked_for
    assert "N" not in looked_for
    nested = read("#n, L[0]")
    without_patch(monkeypatch, Item, "project")
    without_patch(monkeypatch, serialize.BaseJSONSerializer, "_serialize_type_structure")
    assert [read(projection) for projection in kinds] == found
    assert read("#n, L[0]") == nested
    assert made


def test_a_condition_is_read_once_and_holds_for_other_names_and_values(rows, monkeypatch):
    """[dynamodb_conditions]"""
    dynamodb, name, _ = rows
    read: list[str] = []
    lex = ConditionExpressionParser._lex_one_node
    monkeypatch.setattr(
        ConditionExpressionParser, "_lex_one_node", lambda parser, text: noted(read, text) or lex(parser, text)
    )

    def put(attribute: str, value: str) -> bool:
        try:
            dynamodb.put_item(
                TableName=name,
                Item={"pk": {"S": "007-é"}, "N": {"N": "7"}, "M": {"N": "8"}},
                ConditionExpression="attribute_not_exists(pk) OR (#x = :x AND pk <> :pk)",
                ExpressionAttributeNames={"#x": attribute},
                ExpressionAttributeValues={":x": {"N": value}, ":pk": {"S": "other"}},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    assert [put("N", "6"), put("N", "7")] == [False, True]
    once = len(read)
    assert once > 0
    assert [put("M", "7"), put("M", "8"), put("N", "8"), put("N", "7")] == [False, True, False, True]
    assert len(read) == once


def test_an_export_of_a_table_is_written_as_aws_documents_it(sample):
    """[dynamodb_export_manifests]"""
    dynamodb, table = sample.cloud.client("dynamodb"), sample.data["TableName"]
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "exported"}, "Vector": {"B": b"1234"}})
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    bucket = sample.data["BucketName"]
    started = dynamodb.export_table_to_point_in_time(
        TableArn=arn, S3Bucket=bucket, S3Prefix="backups", ExportFormat="DYNAMODB_JSON"
    )["ExportDescription"]
    assert started["ExportArn"].startswith(f"{arn}/export/")
    ended = started
    end = time.monotonic() + 20
    while ended["ExportStatus"] == "IN_PROGRESS" and time.monotonic() < end:
        ended = dynamodb.describe_export(ExportArn=started["ExportArn"])["ExportDescription"]
    assert ended["ExportStatus"] == "COMPLETED"

    def read(key):
        return sample.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    summary = json.loads(read(ended["ExportManifest"]))
    files = [json.loads(line) for line in read(summary["manifestFilesS3Key"]).splitlines()]
    assert summary["itemCount"] == ended["ItemCount"] == sum(file["itemCount"] for file in files)
    lines = [json.loads(line) for file in files for line in gzip.decompress(read(file["dataFileS3Key"])).splitlines()]
    assert len(lines) == summary["itemCount"]
    assert {"Item": {"pk": {"S": "exported"}, "Vector": {"B": "MTIzNA=="}}} in lines
    folder = ended["ExportManifest"].rpartition("/")[0]
    assert read(f"{folder}/_started") == b""
