"""Rows whose image is gone, deleted: each only if, at that moment, its image is gone still and the row is the same."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import error_code
from stepvec.adapters.object_store import ObjectStore
from stepvec.audit.indexed import delete_vectors
from stepvec.client.deployment import Deployment
from stepvec.pacing import batches
from stepvec.rows.item import PARTITION_KEY

_SAME_ROW: Final = ("Key", "ETag", "Model", "Run", "Created", "Modified")
"""Attributes that a row which was written again has changed, or some of them."""
_THREADS: Final = 8
_WAVE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row whose image an audit did not find, or a vector in the index whose row it did not find."""

    image_id: str
    key: str


@dataclass(frozen=True, slots=True)
class OrphanCounts:
    """What became of the orphans. `kept` have an image again, were written again meanwhile, or are gone already.

    `vectors` are those deleted from the index, with their rows or since they have none.
    """

    deleted: int
    kept: int
    vectors: int = 0


class _Fate(Enum):
    DELETED = auto()
    ABSENT = auto()
    KEPT = auto()


def delete_orphans(deployment: Deployment, orphans: Iterable[Orphan]) -> OrphanCounts:
    """Delete the rows of `orphans`, and their vectors in the index. Memory does not grow with their number.

    A row that is embedded again between an audit and its deletion stays: the row is read, its image looked for, and
    DynamoDB deletes it only if it is still the row that was read.
    """
    deleted = kept = vectors = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="orphans") as pool:
        for wave in batches(orphans, _WAVE):
            fates = list(pool.map(lambda orphan: _delete(deployment, orphan), wave))
            deleted += fates.count(_Fate.DELETED)
            kept += fates.count(_Fate.KEPT)
            without = [orphan.image_id for orphan, fate in zip(wave, fates, strict=True) if fate is not _Fate.KEPT]
            if deployment.vector_index and without:
                # After the rows: should this end in between, the next audit finds vectors without rows.
                delete_vectors(deployment, without)
                vectors += len(without)
            else:
                kept += fates.count(_Fate.ABSENT)
    return OrphanCounts(deleted, kept, vectors)


def _delete(deployment: Deployment, orphan: Orphan) -> _Fate:
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
    if row is None:
        return _Fate.ABSENT
    if row.get("Key", {}).get("S") != orphan.key:
        return _Fate.KEPT
    if ObjectStore(deployment.client("s3")).head(deployment.image_bucket, orphan.key) is not None:
        return _Fate.KEPT
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
            return _Fate.KEPT
        raise
    return _Fate.DELETED
