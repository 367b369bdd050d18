"""Reading a whole DynamoDB table in parts, page by page, from wherever one stopped.

botocore parses each attribute of each row by its model; here json's scanner alone reads a page (decision 0112).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from stepvec.adapters.dynamodb_retries import MAX_ATTEMPTS, retried
from stepvec.errors import StorageError
from stepvec.rows.item import PARTITION_KEY

_OK: Final = 200
_EVENT: Final = "before-parse.dynamodb.Scan"


class ScanPage(NamedTuple):
    """A page of one segment: rows in DynamoDB's JSON with bytes as base64 text.

    `last_key` is the image id after which the segment goes on, None at its end.
    """

    items: list[dict[str, Any]]
    last_key: str | None
    read_units: float


class TableScan:
    """A parallel scan of `segments` parts of a table. Safe to use from several threads.

    `client` is for this alone: its answers to Scan are not botocore's. `request` may hold a FilterExpression.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        segments: int,
        request: Mapping[str, Any],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        client.meta.events.register_first(_EVENT, _take_items, unique_id="stepvec-scan-answer")
        self._client = client
        self._request = {"TableName": table, "TotalSegments": segments, "ReturnConsumedCapacity": "TOTAL", **request}
        self._table = table
        self._sleep = sleep

    def page(self, segment: int, after: str, stopped: threading.Event | None = None) -> ScanPage:
        """The page of `segment` after the image id `after`, "" for its first. Raises StorageError.

        `stopped` ends the waits between attempts.
        """
        start: dict[str, Any] = {"ExclusiveStartKey": {PARTITION_KEY: {"S": after}}} if after else {}
        answer = retried(
            f"scanning table {self._table}",
            lambda: self._client.scan(Segment=segment, **start, **self._request),
            starved=self._starved,
            sleep=self._sleep,
            is_stopped=lambda: stopped is not None and stopped.is_set(),
        )
        key = answer.get("LastEvaluatedKey")
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        return ScanPage(answer["Items"], key[PARTITION_KEY]["S"] if key else None, units)

    def _starved(self, why: str) -> StorageError:
        return StorageError(
            f"DynamoDB refused to scan table {self._table} {MAX_ATTEMPTS} times: {why}.",
            remedy="Start again later: what was read is kept. A point-in-time export reads nothing from the table.",
        )


def _take_items(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Move the Items of an answer past botocore's parser, as they were sent; the rest is botocore's."""
    if response_dict["status_code"] != _OK:
        return
    try:
        answer = json.loads(response_dict["body"])
    except ValueError:
        # A truncated answer: botocore reports and retries it.
        return
    if "Items" in answer:
        customized_response_dict["Items"] = answer.pop("Items")
        response_dict["body"] = json.dumps(answer).encode()
