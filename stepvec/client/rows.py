"""Rows of a deployed table by their ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepvec.client.deployment import Deployment
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.pacing import batches
from stepvec.rows.item import PARTITION_KEY, VectorItem, decode_item


def read_rows(deployment: Deployment, image_ids: list[str]) -> Iterator[VectorItem]:
    """The rows of `image_ids` that exist, in no particular order."""
    client = deployment.client("dynamodb")
    for batch in batches(image_ids, BATCH_GET_ITEMS):
        keys: list[Any] = [{PARTITION_KEY: {"S": image_id}} for image_id in batch]
        while keys:
            answer = client.batch_get_item(RequestItems={deployment.table: {"Keys": keys}})
            yield from map(decode_item, answer["Responses"].get(deployment.table, []))
            keys = answer["UnprocessedKeys"].get(deployment.table, {}).get("Keys", [])
