"""The DynamoDB table of vectors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import error_code
from stepvec.adapters.dynamodb_retries import MAX_ATTEMPTS, retried
from stepvec.errors import StorageError
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.pacing import backoff_seconds, batches
from stepvec.rows.item import (
    METADATA_ATTRIBUTES,
    PARTITION_KEY,
    RowMetadata,
    VectorItem,
    decode_item,
    decode_metadata,
    encode_item,
    write_units,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer = TypeVar("Answer")

_REFUSED: Final = "ConditionalCheckFailedException"

_NAMES: Final = {f"#{name}": name for name in METADATA_ATTRIBUTES}
_NOT_OLDER: Final = "attribute_not_exists(Modified) OR Modified < :modified OR (Modified = :modified AND ETag = :etag)"
"""No row, one of another writer, one of an older version, or of the very same: what may be written over.

The same ETag alone is not enough: a row whose Modified went back would let in a version older than it.
"""
_AS_SEEN: Final = "Modified = :modified AND ETag = :etag"


class VectorTable:
    """Reads metadata and writes rows, trying again what DynamoDB refused for now or left unprocessed.

    `client` must not try again itself (stepvec.adapters.clients); `put_item` is used in place of its own. Safe to use
    from several threads. `write_units` adds up what the puts cost by DynamoDB's published rule, `read_units` what
    DynamoDB said it charged.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        name: str,
        *,
        put_item: Callable[..., object] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        threads: int = 8,
    ) -> None:
        self._client = client
        self._name = name
        self._put_item = put_item
        self._sleep = sleep
        self._threads = threads
        self._lock = threading.Lock()
        self.write_units = 0.0
        self.read_units = 0.0

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        """The metadata of the rows that exist, by image id, one dict for each 100 distinct ids, in their order.

        Requests run in threads, a bounded number ahead of the caller. Raises StorageError.
        """
        with ThreadPoolExecutor(self._threads, thread_name_prefix="metadata") as pool:
            for wave in batches(batches(image_ids, BATCH_GET_ITEMS), self._threads * 2):
                yield from pool.map(lambda ids: self._metadata_batch(ids, consistent=consistent), wave)

    def is_empty(self) -> bool:
        """Whether the table has no row, strongly consistent. False where DynamoDB does not say so at once.

        Costs at most one read unit for 4 KB of a row. Raises StorageError.
        """
        answer = self._retried(
            f"looking whether table {self._name} has rows",
            lambda: self._client.scan(
                TableName=self._name, Limit=1, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
            ),
        )
        with self._lock:
            self.read_units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        # An empty page of a partition without rows names the next one: such a table may have rows there.
        return not answer["Items"] and "LastEvaluatedKey" not in answer

    def items(self, image_ids: Iterable[str]) -> Iterator[VectorItem]:
        """The rows that exist, vectors included, strongly consistent. Raises StorageError; RecordError for bad rows."""
        for ids in batches(image_ids, BATCH_GET_ITEMS):
            yield from map(decode_item, self._batch(ids, {"ConsistentRead": True}))

    def put(self, item: VectorItem, *, over: RowMetadata | None = None) -> RowMetadata | None:
        """Write one row, unless that of a newer version of its object is there: then the metadata of that one.

        Newer is a later `modified`, or the same second and another ETag. With `over`, metadata that `put` answered, the
        row is written over just that one, whatever its age. Raises StorageError.
        """
        encoded = encode_item(item)
        if over is None:
            # A row without Modified is older than any: it can say nothing of a version.
            modified, etag, condition = encoded.get("Modified", {"N": "0"}), item.etag, _NOT_OLDER
        else:
            modified, etag, condition = {"N": str(over.modified or 0)}, over.etag, _AS_SEEN
        request: Any = {
            "TableName": self._name,
            "Item": encoded,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {":modified": modified, ":etag": {"S": etag}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        standing = self._retried(f"writing rows of table {self._name}", lambda: self._put_once(request))
        # A refused put costs what a put costs:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
        with self._lock:
            self.write_units += write_units(encoded)
        return standing

    def _put_once(self, request: Any) -> RowMetadata | None:
        try:
            (self._put_item or self._client.put_item)(**request)
        except ClientError as error:
            if error_code(error) != _REFUSED:
                raise
            answer: Any = error.response
            return decode_metadata(answer["Item"])
        return None

    def _metadata_batch(self, image_ids: list[str], *, consistent: bool) -> dict[str, RowMetadata]:
        projection = {"ProjectionExpression": ", ".join(_NAMES), "ExpressionAttributeNames": _NAMES}
        items = self._batch(image_ids, {"ConsistentRead": consistent, **projection})
        return {row.image_id: row for row in map(decode_metadata, items)}

    def _batch(self, image_ids: list[str], options: dict[str, Any]) -> list[Any]:
        """The items of up to 100 ids, as a BatchGetItem with these options gives them."""
        keys: list[Any] = [{PARTITION_KEY: {"S": image_id}} for image_id in dict.fromkeys(image_ids)]
        what = f"reading rows of table {self._name}"
        items: list[Any] = []
        for attempt in range(MAX_ATTEMPTS):
            request: Any = {self._name: {"Keys": keys, **options}}
            answer = self._retried(
                what,
                lambda request=request: self._client.batch_get_item(  # type: ignore[misc]
                    RequestItems=request, ReturnConsumedCapacity="TOTAL"
                ),
            )
            with self._lock:
                self.read_units += _capacity(answer)
            items += answer["Responses"].get(self._name, [])
            unprocessed = answer["UnprocessedKeys"].get(self._name)
            if not unprocessed:
                return items
            keys = list(unprocessed["Keys"])
            self._sleep(backoff_seconds(attempt))
        raise self._starved(what, f"{len(keys)} rows were left unprocessed")

    def _retried(self, what: str, request: Callable[[], Answer]) -> Answer:
        return retried(what, request, starved=lambda why: self._starved(what, why), sleep=self._sleep)

    def _starved(self, what: str, why: str) -> StorageError:
        return StorageError(
            f"DynamoDB failed at {what}, {MAX_ATTEMPTS} times: {why}.",
            remedy="If the table is throttled, raise its capacity or warm throughput, or lower maxConcurrency; "
            "then start again: only what is missing is done.",
        )


def _capacity(answer: Any) -> float:
    return float(sum(used.get("CapacityUnits", 0.0) for used in answer.get("ConsumedCapacity", [])))
