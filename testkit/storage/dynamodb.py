"""Tables with the partition key ImageId: BatchGetItem, GetItem, PutItem (with condition), BatchWriteItem, Scan."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from stepvec.limits import BATCH_GET_ITEMS
from stepvec.rows.item import PARTITION_KEY
from testkit.http_messages import Message, response
from testkit.storage.conditions import ConditionError, parse_condition
from testkit.storage.synthetic import TABLE_WITH_ROWS, SyntheticRows, SyntheticVectors

READ_UNIT_BYTES: Final = 4096
PAGE_BYTES: Final = 1024 * 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""
BATCH_WRITE_ITEMS: Final = 25
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
_ERROR_PREFIX: Final = "com.amazonaws.dynamodb.v20120810#"

Item = dict[str, Any]
Answer = dict[str, Any]


class RequestRefused(Exception):  # noqa: N818 - an answer of the service
    """An answer with status 400: its code, and what else the body holds."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.body = {"__type": _ERROR_PREFIX + code, "message": message, **more}


class Tables:
    """All tables; one exists as soon as something is asked of it. `stored` is called with each number of rows put."""

    def __init__(self, stored: Callable[[int], None]) -> None:
        self.rows: dict[str, dict[str, Item]] = {}
        self._stored = stored
        self._operations: dict[str, Callable[[Any], Answer | bytes]] = {
            "BatchGetItem": self._batch_get,
            "GetItem": self._get,
            "PutItem": self._put,
            "BatchWriteItem": self._batch_write,
            "Scan": self._scan,
        }

    def answer(self, request: Message) -> bytes:
        """The response to a request of DynamoDB's JSON protocol."""
        name = request.header("x-amz-target").partition(".")[2]
        try:
            status, body = "200 OK", self._operation(name)(json.loads(request.content))
        except RequestRefused as refused:
            status, body = "400 Bad Request", refused.body
        content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        headers = b"Content-Type: application/x-amz-json-1.0\r\nx-amz-crc32: %d\r\n" % zlib.crc32(content)
        return response(status, content, headers)

    def _operation(self, name: str) -> Callable[[Any], Answer | bytes]:
        if name not in self._operations:
            raise RequestRefused("UnknownOperationException", f"{name} is not known here.")
        return self._operations[name]

    def _table(self, name: str) -> dict[str, Item]:
        return self.rows.setdefault(name, {})

    def _batch_get(self, request: Any) -> Answer:
        found: dict[str, list[Item]] = {}
        consumed = []
        for table, wanted in request["RequestItems"].items():
            keys = [key[PARTITION_KEY]["S"] for key in wanted["Keys"]]
            if not 1 <= len(set(keys)) == len(keys) <= BATCH_GET_ITEMS:
                raise RequestRefused("ValidationException", f"{len(keys)} keys, or one of them twice.")
            rows = SyntheticRows() if table == TABLE_WITH_ROWS else self._table(table)
            items = [item for item in map(rows.get, keys) if item is not None]
            found[table] = [_projected(item, wanted) for item in items]
            # An item that does not exist is read as one of the least size.
            sizes = [_item_bytes(item) for item in items] + [1] * (len(keys) - len(items))
            units = sum(math.ceil(size / READ_UNIT_BYTES) for size in sizes)
            factor = 1.0 if wanted.get("ConsistentRead") else 0.5
            consumed.append({"TableName": table, "CapacityUnits": units * factor})
        answer: Answer = {"Responses": found, "UnprocessedKeys": {}}
        if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            answer["ConsumedCapacity"] = consumed
        return answer

    def _get(self, request: Any) -> Answer:
        item = self._table(request["TableName"]).get(request["Key"][PARTITION_KEY]["S"])
        return {} if item is None else {"Item": _projected(item, request)}

    def _put(self, request: Any) -> Answer:
        rows, item = self._table(request["TableName"]), request["Item"]
        image_id = item[PARTITION_KEY]["S"]
        before = rows.get(image_id)
        expression = request.get("ConditionExpression")
        if expression and not _holds(expression, request, before or {}):
            more = {}
            if before is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                more["Item"] = before
            raise RequestRefused("ConditionalCheckFailedException", "The conditional request failed", **more)
        rows[image_id] = item
        self._stored(1)
        return {"Attributes": before} if before and request.get("ReturnValues") == "ALL_OLD" else {}

    def _batch_write(self, request: Any) -> Answer:
        writes = [(table, write) for table, entries in request["RequestItems"].items() for write in entries]
        if not 1 <= len(writes) <= BATCH_WRITE_ITEMS or any("PutRequest" not in write for _, write in writes):
            raise RequestRefused("ValidationException", f"1 to {BATCH_WRITE_ITEMS} puts, please.")
        for table, write in writes:
            item = write["PutRequest"]["Item"]
            self._table(table)[item[PARTITION_KEY]["S"]] = item
        self._stored(len(writes))
        return {"UnprocessedItems": {}}

    def _scan(self, request: Any) -> Answer | bytes:
        """A page of a segment. Rows are in the order of a hash of their keys, of which each segment has a part."""
        segments, segment = request.get("TotalSegments", 1), request.get("Segment", 0)
        after = request.get("ExclusiveStartKey", {}).get(PARTITION_KEY, {}).get("S", "")
        if vectors := SyntheticVectors.named(request["TableName"]):
            return vectors.page(segment, segments, after)
        rows = self._table(request["TableName"])
        keys = sorted((_hashed(key), key) for key in rows if _hashed(key)[0] * segments // 256 == segment)
        keys = [found for found in keys if not after or found > (_hashed(after), after)]
        page, size = [], 0
        for _, key in keys[: request.get("Limit", len(keys))]:
            page.append(rows[key])
            size += _item_bytes(rows[key])
            if size > PAGE_BYTES:
                break
        expression = request.get("FilterExpression")
        items = [item for item in page if not expression or _holds(expression, request, item)]
        answer: Answer = {"Items": items, "Count": len(items), "ScannedCount": len(page)}
        if len(page) < len(keys):
            answer["LastEvaluatedKey"] = {PARTITION_KEY: page[-1][PARTITION_KEY]}
        if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            units = math.ceil(size / READ_UNIT_BYTES) / 2
            answer["ConsumedCapacity"] = {"TableName": request["TableName"], "CapacityUnits": units}
        return answer


def _hashed(key: str) -> bytes:
    return hashlib.md5(key.encode(), usedforsecurity=False).digest()


def _holds(expression: str, request: Mapping[str, Any], item: Item) -> bool:
    names = request.get("ExpressionAttributeNames", {})
    values = request.get("ExpressionAttributeValues", {})
    try:
        return parse_condition(expression)(item, names, values)
    except ConditionError as error:
        raise RequestRefused("ValidationException", f"Invalid ConditionExpression: {error}") from error


def _projected(item: Item, request: Mapping[str, Any]) -> Item:
    expression = request.get("ProjectionExpression")
    if expression is None:
        return item
    names = request.get("ExpressionAttributeNames", {})
    wanted = (name.strip() for name in expression.split(","))
    return {name: item[name] for name in (names.get(name, name) for name in wanted) if name in item}


def _item_bytes(item: Item) -> int:
    """About the item's size: text as it is, base64 as the bytes behind it."""
    size = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        size += len(name) + (len(content) * 3 // 4 if kind == "B" else len(str(content)))
    return size
