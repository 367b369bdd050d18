"""Rows of a deployed table: all of them, or some by their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, Final

from stepvec.client.deployment import Deployment
from stepvec.client.scope import EVERYTHING, Scope
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.pacing import batches
from stepvec.rows.item import PARTITION_KEY, VectorItem, decode_item

SCAN_SEGMENTS: Final = 8
"""Parts of the table that are read at a time."""


def scan_rows(deployment: Deployment, scope: Scope = EVERYTHING) -> Iterator[dict[str, Any]]:
    """Every row of the table, or those whose keys are in `scope`, in no order, as DynamoDB gives them.

    Reads the whole table in parallel, a page of up to 1 MB of each part ahead of the caller.
    """
    client = deployment.client("dynamodb")
    request: dict[str, Any] = {"TableName": deployment.table, "TotalSegments": SCAN_SEGMENTS}
    if not scope.is_everything:
        prefixes = {f":p{number}": {"S": prefix} for number, prefix in enumerate(scope.prefixes)}
        keys = {f":k{number}": {"S": key} for number, key in enumerate(scope.keys)}
        conditions = [*(f"begins_with(#key, {name})" for name in prefixes), *(f"#key = {name}" for name in keys)]
        request |= {
            "FilterExpression": " OR ".join(conditions),
            "ExpressionAttributeNames": {"#key": "Key"},
            "ExpressionAttributeValues": prefixes | keys,
        }
    with ThreadPoolExecutor(SCAN_SEGMENTS, thread_name_prefix="scan") as pool:
        pending = {pool.submit(client.scan, Segment=segment, **request): segment for segment in range(SCAN_SEGMENTS)}
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                segment, page = pending.pop(future), future.result()
                if start := page.get("LastEvaluatedKey"):
                    following = pool.submit(client.scan, Segment=segment, ExclusiveStartKey=start, **request)
                    pending[following] = segment
                yield from page["Items"]


def read_rows(deployment: Deployment, image_ids: list[str]) -> Iterator[VectorItem]:
    """The rows of `image_ids` that exist, in no particular order."""
    client = deployment.client("dynamodb")
    for batch in batches(image_ids, BATCH_GET_ITEMS):
        keys: list[Any] = [{PARTITION_KEY: {"S": image_id}} for image_id in batch]
        while keys:
            answer = client.batch_get_item(RequestItems={deployment.table: {"Keys": keys}})
            yield from map(decode_item, answer["Responses"].get(deployment.table, []))
            keys = answer["UnprocessedKeys"].get(deployment.table, {}).get("Keys", [])


def rows_of_model(
    items: Iterable[dict[str, Any]], model: str, others: Counter[str] | None = None
) -> Iterator[VectorItem]:
    """The rows of `model` among `items`; those of others are counted in `others`, "" being the original sample's."""
    for item in items:
        name = item.get("Model", {}).get("S", "")
        if name == model:
            yield decode_item(item)
        elif others is not None:
            others[name] += 1
