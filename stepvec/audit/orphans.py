"""Rows whose image is gone, deleted: each only if, at that moment, its image is gone still and the row is the same."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import error_code
from stepvec.adapters.object_store import ObjectStore
from stepvec.client.deployment import Deployment
from stepvec.pacing import batches
from stepvec.rows.item import PARTITION_KEY

_SAME_ROW: Final = ("Key", "ETag", "Model", "Run", "Created", "Modified")
"""Attributes that a row which was written again has changed, or some of them."""
_THREADS: Final = 8
_WAVE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row whose image an audit did not find."""

    image_id: str
    key: str


@dataclass(frozen=True, slots=True)
class OrphanCounts:
    """What became of the orphans. `kept` have an image again, were written again meanwhile, or are gone already."""

    deleted: int
    kept: int


def delete_orphans(deployment: Deployment, orphans: Iterable[Orphan]) -> OrphanCounts:
    """Delete the rows of `orphans`. Memory does not grow with their number.

    A row that is embedded again between an audit and its deletion stays: the row is read, its image looked for, and
    DynamoDB deletes it only if it is still the row that was read.
    """
    deleted = kept = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="orphans") as pool:
        for wave in batches(orphans, _WAVE):
            for gone in pool.map(lambda orphan: _delete(deployment, orphan), wave):
                deleted, kept = deleted + gone, kept + (not gone)
    return OrphanCounts(deleted, kept)


def _delete(deployment: Deployment, orphan: Orphan) -> bool:
    table: Any = deployment.client("dynamodb")
    key = {PARTITION_KEY: {"S": orphan.image_id}}
    names = {f"#{name}": name for name in _SAME_ROW}
    row = table.get_item(
        TableName=deployment.table,
        Key=key,
        ConsistentRead=True,
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    ).get("Item")
    if row is None or row.get("Key", {}).get("S") != orphan.key:
        return False
    if ObjectStore(deployment.client("s3")).head(deployment.image_bucket, orphan.key) is not None:
        return False
    values = {f":{name}": row[name] for name in _SAME_ROW if name in row}
    same = [f"#{name} = :{name}" if name in row else f"attribute_not_exists(#{name})" for name in _SAME_ROW]
    try:
        table.delete_item(
            TableName=deployment.table,
            Key=key,
            ConditionExpression=" AND ".join(same),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
