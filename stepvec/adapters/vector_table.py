"""The DynamoDB table of vectors."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.failures import explain
from stepvec.errors import StorageError
from stepvec.item import MARK_ATTRIBUTES, PARTITION_KEY, StoredMark, VectorItem, decode_mark, encode_item, write_units
from stepvec.limits import BATCH_GET_ITEMS, BATCH_WRITE_ITEMS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Element = TypeVar("Element")

BACKOFF_FIRST_SECONDS: Final = 0.05
BACKOFF_LONGEST_SECONDS: Final = 20.0
ROUNDS: Final = 12
"""Times that unprocessed items are sent again: the waits add up to about two minutes, so a cold table can split."""
_NAMES: Final = {f"#{name}": name for name in MARK_ATTRIBUTES}


def batches(elements: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """The elements in lists of `size`; the last may be shorter."""
    iterator = iter(elements)
    while batch := list(islice(iterator, size)):
        yield batch


class VectorTable:
    """Reads marks and writes rows, sending again what DynamoDB left unprocessed.

    A writer of our own, since boto3's batch_writer sends unprocessed items again without waiting (boto/boto3#944).
    `write_units` adds up what the rows cost by DynamoDB's published rule, `read_units` what DynamoDB said it charged.
    """

    def __init__(
        self, client: DynamoDBClient, name: str, *, sleep: Callable[[float], None] = time.sleep, threads: int = 8
    ) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep
        self._threads = threads
        self._lock = threading.Lock()
        self.write_units = 0.0
        self.read_units = 0.0

    def marks(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, StoredMark]]:
        """The marks of the rows that exist, by image id, one dict for each 100 distinct ids, in their order.

        Requests run in threads, a bounded number ahead of the caller. Raises StorageError.
        """
        with ThreadPoolExecutor(self._threads, thread_name_prefix="marks") as pool:
            for wave in batches(batches(image_ids, BATCH_GET_ITEMS), self._threads * 2):
                yield from pool.map(lambda ids: self._batch_of_marks(ids, consistent=consistent), wave)

    def put(self, items: Sequence[VectorItem]) -> None:
        """Write up to 25 rows with distinct ids, over what is there. Raises StorageError if not all were written."""
        if len(items) > BATCH_WRITE_ITEMS:
            raise ValueError(f"{len(items)} items in one batch; BatchWriteItem takes {BATCH_WRITE_ITEMS}.")
        pending: list[Any] = [{"PutRequest": {"Item": encode_item(item)}} for item in items]
        units = sum(write_units(request["PutRequest"]["Item"]) for request in pending)
        for attempt in range(ROUNDS):
            try:
                answer = self._client.batch_write_item(RequestItems={self._name: pending})
            except (ClientError, BotoCoreError) as error:
                raise explain("DynamoDB", f"writing rows of table {self._name}", error) from error
            pending = list(answer["UnprocessedItems"].get(self._name, []))
            if not pending:
                with self._lock:
                    self.write_units += units
                return
            self._sleep(backoff_seconds(attempt))
        raise self._starved("write", len(pending))

    def _batch_of_marks(self, image_ids: list[str], *, consistent: bool) -> dict[str, StoredMark]:
        keys: list[Any] = [{PARTITION_KEY: {"S": image_id}} for image_id in dict.fromkeys(image_ids)]
        marks: dict[str, StoredMark] = {}
        for attempt in range(ROUNDS):
            request: Any = {
                self._name: {
                    "Keys": keys,
                    "ConsistentRead": consistent,
                    "ProjectionExpression": ", ".join(_NAMES),
                    "ExpressionAttributeNames": _NAMES,
                }
            }
            try:
                answer = self._client.batch_get_item(RequestItems=request, ReturnConsumedCapacity="TOTAL")
            except (ClientError, BotoCoreError) as error:
                raise explain("DynamoDB", f"reading rows of table {self._name}", error) from error
            with self._lock:
                self.read_units += _capacity(answer)
            for item in answer["Responses"].get(self._name, []):
                mark = decode_mark(item)
                marks[mark.image_id] = mark
            unprocessed = answer["UnprocessedKeys"].get(self._name)
            if not unprocessed:
                return marks
            keys = list(unprocessed["Keys"])
            self._sleep(backoff_seconds(attempt))
        raise self._starved("read", len(keys))

    def _starved(self, what: str, left: int) -> StorageError:
        return StorageError(
            f"DynamoDB left {left} rows of table {self._name} unprocessed after {ROUNDS} rounds of {what}s.",
            remedy="The table is throttled: raise its capacity or warm throughput, or lower maxConcurrency; "
            "then start again.",
        )


def backoff_seconds(attempt: int) -> float:
    """Seconds to wait before round `attempt` + 1: exponential with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = min(BACKOFF_LONGEST_SECONDS, BACKOFF_FIRST_SECONDS * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - jitter, no secret


def _capacity(answer: Any) -> float:
    return float(sum(used.get("CapacityUnits", 0.0) for used in answer.get("ConsumedCapacity", [])))
