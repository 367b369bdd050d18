"""VectorTable against a DynamoDB that refuses, throttles and leaves things unprocessed, and one with conditions."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from moto import mock_aws

from stepvec.adapters.dynamodb_retries import MAX_ATTEMPTS
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.pacing import backoff_seconds
from stepvec.rows.item import RowMetadata, VectorItem


class StubbornDynamoDb:
    """Answers with `errors` first; then reads `per_call` items of each request and leaves the rest unprocessed."""

    def __init__(self, per_call: int = 100, errors: Iterable[Exception] = ()) -> None:
        self.per_call, self.errors = per_call, list(errors)
        self.items: dict[str, Any] = {}
        self.requests: list[int] = []

    def put_item(self, **request: Any) -> Any:
        self.requests.append(1)
        if self.errors:
            raise self.errors.pop(0)
        self.items[request["Item"]["ImageId"]["S"]] = request["Item"]
        return {}

    def batch_get_item(self, RequestItems: Any, ReturnConsumedCapacity: str) -> Any:
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        assert len(keys) <= 100
        assert len({key["ImageId"]["S"] for key in keys}) == len(keys)
        self.requests.append(len(keys))
        if self.errors:
            raise self.errors.pop(0)
        taken, left = keys[: self.per_call], keys[self.per_call :]
        found = [self.items[key["ImageId"]["S"]] for key in taken if key["ImageId"]["S"] in self.items]
        return {
            "Responses": {table: found},
            "UnprocessedKeys": {table: {"Keys": left}} if left else {},
            "ConsumedCapacity": [{"CapacityUnits": 0.5 * len(taken)}],
        }


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutItem",
    )


def row(image_id: str = "i0", *, etag: str = "e", modified: datetime | None = None, run: str = "r") -> VectorItem:
    return VectorItem(image_id, bytes(2048), "float32", 512, datetime.now(UTC), "k", etag, "m", run, modified)


def table(client: StubbornDynamoDb) -> tuple[VectorTable, list[float]]:
    waits: list[float] = []
    return VectorTable(client, "t", sleep=waits.append), waits  # type: ignore[arg-type]


PASSING = [
    refusal("ProvisionedThroughputExceededException"),
    refusal("ThrottlingException"),
    refusal("RequestLimitExceeded"),
    refusal("InternalServerError", 500),
    refusal("SomethingElse", 503),
    ConnectionClosedError(endpoint_url="https://dynamodb"),
    ReadTimeoutError(endpoint_url="https://dynamodb"),
]


def test_what_may_pass_is_tried_again_until_the_row_is_stored() -> None:
    client = StubbornDynamoDb(errors=PASSING)
    vectors, waits = table(client)
    assert vectors.put(row()) is None
    assert list(client.items) == ["i0"]
    assert len(waits) == len(PASSING)
    assert vectors.write_units == 3


def test_a_table_that_takes_nothing_is_an_error_with_a_remedy() -> None:
    client = StubbornDynamoDb(errors=[refusal("ThrottlingException")] * 100)
    vectors, waits = table(client)
    with pytest.raises(
        StorageError, match=r"failed at writing rows of table t, 16 times.*ThrottlingException.*capacity"
    ):
        vectors.put(row())
    assert len(client.requests) == MAX_ATTEMPTS
    assert len(waits) == MAX_ATTEMPTS - 1
    assert vectors.write_units == 0


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_what_does_not_pass_is_tried_once(code: str) -> None:
    vectors, waits = table(StubbornDynamoDb(errors=[refusal(code)]))
    with pytest.raises(
        AccessDeniedError if code.startswith("Access") else StorageError, match="writing rows of table t"
    ):
        vectors.put(row())
    assert not waits


def test_marks_are_read_100_at_a_time_with_what_was_left_unprocessed() -> None:
    client = StubbornDynamoDb()
    vectors, _ = table(client)
    for number in range(60):
        vectors.put(row(f"i{number}"))
    client.per_call, client.requests = 70, []
    found = [row for rows in vectors.metadata((f"i{number}" for number in range(250)), consistent=True) for row in rows]
    assert sorted(found) == sorted(f"i{number}" for number in range(60))
    assert sorted(client.requests) == [30, 30, 50, 100, 100]
    assert vectors.read_units == 0.5 * 250


class Pages:
    """Answers a Scan with `answer`, after `errors`."""

    def __init__(self, answer: dict[str, Any], errors: Iterable[Exception] = ()) -> None:
        self.answer, self.errors = answer, list(errors)
        self.requests: list[dict[str, Any]] = []

    def scan(self, **request: Any) -> Any:
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        return {"ConsumedCapacity": {"CapacityUnits": 1.0}, **self.answer}


@pytest.mark.parametrize(
    ("answer", "is_empty"),
    [
        ({"Items": []}, True),
        ({"Items": [{"ImageId": {"S": "a"}}], "LastEvaluatedKey": {"ImageId": {"S": "a"}}}, False),
        # A partition without rows: the next one may have some.
        ({"Items": [], "LastEvaluatedKey": {"ImageId": {"S": "a"}}}, False),
    ],
)
def test_a_table_is_empty_only_where_a_consistent_scan_ends_without_a_row(
    answer: dict[str, Any], *, is_empty: bool
) -> None:
    client = Pages(answer, errors=PASSING)
    vectors = VectorTable(client, "t", sleep=lambda seconds: None)  # type: ignore[arg-type]
    assert vectors.is_empty() is is_empty
    assert all(request["ConsistentRead"] is True and request["Limit"] == 1 for request in client.requests)
    assert vectors.read_units == 1


def test_a_throttled_read_is_tried_again() -> None:
    vectors, waits = table(StubbornDynamoDb(errors=PASSING))
    assert list(vectors.metadata(["a"], consistent=True)) == [{}]
    assert len(waits) == len(PASSING)


@pytest.fixture
def real() -> Iterator[VectorTable]:
    """A table whose conditions are evaluated: moto's."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "ImageId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "ImageId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield VectorTable(client, "t", sleep=lambda seconds: None, threads=1)


def test_the_first_row_makes_a_table_one_that_is_not_empty(real: VectorTable) -> None:
    assert real.is_empty()
    real.put(row())
    assert not real.is_empty()


def at(second: int) -> datetime:
    return datetime(2026, 11, 25, 8, 0, second, tzinfo=UTC)


def stored_row(vectors: VectorTable) -> RowMetadata:
    ((_, found),) = [item for metadata in vectors.metadata(["i0"], consistent=True) for item in metadata.items()]
    return found


@pytest.mark.parametrize(
    ("first", "second", "is_stored"),
    [
        (row(etag="old", modified=at(1)), row(etag="new", modified=at(2)), True),
        (row(etag="new", modified=at(2)), row(etag="old", modified=at(1)), False),
        (row(etag="same", modified=at(1), run="r1"), row(etag="same", modified=at(1), run="r2"), True),
        (row(etag="one", modified=at(1)), row(etag="other", modified=at(1)), False),
        # The same bytes, uploaded again: Modified must not go back, or a version between the two would pass.
        (row(etag="same", modified=at(3)), row(etag="same", modified=at(1)), False),
        (row(etag="unknown"), row(etag="any", modified=at(1)), True),
        (row(etag="known", modified=at(1)), row(etag="unknown"), False),
    ],
)
def test_a_row_is_never_written_over_one_of_a_newer_version(
    real: VectorTable, first: VectorItem, second: VectorItem, is_stored: bool
) -> None:
    assert real.put(first) is None
    standing = real.put(second)
    assert (standing is None) is is_stored
    kept = second if is_stored else first
    found = stored_row(real)
    assert (found.etag, found.run) == (kept.etag, kept.run)
    if standing is not None:
        assert standing.etag == first.etag
        assert standing.modified == (first.modified and int(first.modified.timestamp()))
    # The refused put is paid for too.
    assert real.write_units == 6


def test_a_row_is_written_over_just_the_one_that_was_seen(real: VectorTable) -> None:
    real.put(row(etag="new", modified=at(5)))
    seen = real.put(row(etag="mine", modified=at(1)))
    assert seen is not None
    real.put(row(etag="newest", modified=at(9)))
    standing = real.put(row(etag="mine", modified=at(1)), over=seen)
    assert standing is not None
    assert standing.etag == "newest"
    assert real.put(row(etag="mine", modified=at(1)), over=standing) is None
    assert stored_row(real).etag == "mine"


def test_a_row_of_the_original_sample_is_written_over(real: VectorTable) -> None:
    real._client.put_item(TableName="t", Item={"ImageId": {"S": "i0"}, "Vector": {"B": b"1234"}})
    assert real.put(row(modified=at(1))) is None
    assert stored_row(real).etag == "e"


def test_an_id_asked_twice_is_asked_once() -> None:
    client = StubbornDynamoDb(per_call=100)
    list(table(client)[0].metadata(["a", "a", "b"], consistent=False))
    assert client.requests == [2]


def test_waits_grow_have_jitter_and_a_bound() -> None:
    longest = [max(backoff_seconds(attempt) for _ in range(300)) for attempt in range(12)]
    assert longest[0] <= 0.05 < longest[3]
    assert max(longest) <= 20
    assert len({backoff_seconds(5) for _ in range(10)}) > 1
