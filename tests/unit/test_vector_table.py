"""VectorTable against a DynamoDB that leaves things unprocessed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stepvec.adapters.vector_table import ROUNDS, VectorTable, backoff_seconds, batches
from stepvec.errors import AccessDeniedError, StorageError
from stepvec.item import VectorItem


class StubbornDynamoDb:
    """Takes `per_call` items of each request and leaves the rest unprocessed."""

    def __init__(self, per_call: int, error: str = "") -> None:
        self.per_call, self.error = per_call, error
        self.items: dict[str, Any] = {}
        self.requests: list[int] = []

    def batch_write_item(self, RequestItems: Any) -> Any:
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "BatchWriteItem")
        ((table, requests),) = RequestItems.items()
        self.requests.append(len(requests))
        for request in requests[: self.per_call]:
            item = request["PutRequest"]["Item"]
            self.items[item["ImageId"]["S"]] = item
        left = requests[self.per_call :]
        return {"UnprocessedItems": {table: left} if left else {}}

    def batch_get_item(self, RequestItems: Any, ReturnConsumedCapacity: str) -> Any:
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        assert len(keys) <= 100
        assert len({key["ImageId"]["S"] for key in keys}) == len(keys)
        self.requests.append(len(keys))
        taken, left = keys[: self.per_call], keys[self.per_call :]
        found = [self.items[key["ImageId"]["S"]] for key in taken if key["ImageId"]["S"] in self.items]
        return {
            "Responses": {table: found},
            "UnprocessedKeys": {table: {"Keys": left}} if left else {},
            "ConsumedCapacity": [{"CapacityUnits": 0.5 * len(taken)}],
        }


def rows(count: int) -> list[VectorItem]:
    return [
        VectorItem(f"i{number}", bytes(2048), "float32", 512, datetime.now(UTC), "k", "e", "m", "r")
        for number in range(count)
    ]


def table(client: StubbornDynamoDb) -> tuple[VectorTable, list[float]]:
    waits: list[float] = []
    return VectorTable(client, "t", sleep=waits.append), waits  # type: ignore[arg-type]


def test_unprocessed_items_are_sent_again_until_all_are_stored() -> None:
    client = StubbornDynamoDb(per_call=10)
    vectors, waits = table(client)
    vectors.put(rows(25))
    assert len(client.items) == 25
    assert client.requests == [25, 15, 5]
    assert len(waits) == 2
    assert vectors.write_units == 75


def test_a_table_that_takes_nothing_is_an_error_with_a_remedy() -> None:
    client = StubbornDynamoDb(per_call=0)
    vectors, waits = table(client)
    with pytest.raises(StorageError, match="left 3 rows.*throttled"):
        vectors.put(rows(3))
    assert len(waits) == ROUNDS
    assert vectors.write_units == 0


def test_a_denied_write_says_so() -> None:
    vectors, _ = table(StubbornDynamoDb(0, error="AccessDeniedException"))
    with pytest.raises(AccessDeniedError, match="denied writing rows of table t"):
        vectors.put(rows(1))


def test_more_than_a_batch_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="26 items"):
        table(StubbornDynamoDb(25))[0].put(rows(26))


def test_marks_are_read_100_at_a_time_with_what_was_left_unprocessed() -> None:
    client = StubbornDynamoDb(per_call=25)
    vectors, _ = table(client)
    for batch in batches(rows(60), 25):
        vectors.put(batch)
    client.per_call, client.requests = 70, []
    found = [
        mark for marks in vectors.marks((f"i{number}" for number in range(250)), consistent=True) for mark in marks
    ]
    assert sorted(found) == sorted(f"i{number}" for number in range(60))
    assert sorted(client.requests) == [30, 30, 50, 100, 100]
    assert vectors.read_units == 0.5 * 250


def test_an_id_asked_twice_is_asked_once() -> None:
    client = StubbornDynamoDb(per_call=100)
    list(table(client)[0].marks(["a", "a", "b"], consistent=False))
    assert client.requests == [2]


def test_waits_grow_have_jitter_and_a_bound() -> None:
    longest = [max(backoff_seconds(attempt) for _ in range(300)) for attempt in range(12)]
    assert longest[0] <= 0.05 < longest[3]
    assert max(longest) <= 20
    assert len({backoff_seconds(5) for _ in range(10)}) > 1
