"""What an audit reads of a deployment: metadata of every row, images of some prefixes, a few whole rows and images."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import MISSING_CODES, error_code
from stepvec.adapters.object_store import ObjectStore
from stepvec.audit.compare import Finding, FindingKind, MatchedRow, compare_vectors
from stepvec.client.deployment import Deployment
from stepvec.client.scope import Scope
from stepvec.errors import RecordError
from stepvec.rows.item import METADATA_ATTRIBUTES, PARTITION_KEY, RowMetadata, VectorItem, decode_item, decode_metadata
from stepvec.runs.images import SuffixRule
from stepvec.runs.listing import ListedImage

_NAMES: Final = {f"#{name}": name for name in METADATA_ATTRIBUTES}
_CHANGED: Final = frozenset({"PreconditionFailed", "412", *MISSING_CODES})


class ImageEmbedder(Protocol):
    """Embeds single files, as the worker does."""

    def vector(self, file: Path) -> npt.NDArray[np.float32] | str:
        """The file's vector, or why it cannot be embedded, in words."""


@dataclass(slots=True)
class Reading:
    """What was read so far. `suffixes` say which objects are images, and so should have a row."""

    suffixes: SuffixRule
    rows: int = 0
    images: int = 0
    read_units: float = 0.0
    ignored: Counter[str] = field(default_factory=Counter)

    def is_missed(self, entry: ListedImage) -> bool:
        """Whether an object that has no row should have one; what is not is counted as ignored."""
        kind = self.suffixes.ignored_as(entry.key, entry.size)
        if kind:
            self.images -= 1
            self.ignored[kind] += 1
        return not kind


def scan_metadata(deployment: Deployment, scope: Scope, reading: Reading) -> Iterator[RowMetadata]:
    """The metadata of all rows whose key is in `scope`, a page at a time, in no order.

    DynamoDB charges for whole rows, whatever is read of them.
    """
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=deployment.table,
            ProjectionExpression=", ".join(_NAMES),
            ExpressionAttributeNames=_NAMES,
            ReturnConsumedCapacity="TOTAL",
        )
    )
    for page in pages:
        reading.read_units += page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        for item in page["Items"]:
            row = decode_metadata(item)
            if scope.holds(row.key):
                reading.rows += 1
                yield row


def list_objects(deployment: Deployment, scope: Scope, reading: Reading) -> Iterator[ListedImage]:
    """The objects of `scope`, in the order of their keys' UTF-8 bytes: images, and others, which may have rows, too.

    (A manifest's keys are embedded whatever their names are.)
    """
    store = ObjectStore(deployment.client("s3"))
    # No key lies under a prefix, so that this order is that of all their objects.
    for name in sorted({*scope.prefixes, *scope.keys}):
        for objects in _pages(store, deployment.image_bucket, name, is_key=name in scope.keys):
            reading.images += len(objects)
            yield from objects


def _pages(store: ObjectStore, bucket: str, name: str, *, is_key: bool) -> Iterator[tuple[ListedImage, ...]]:
    if is_key:
        found = store.head(bucket, name)
        yield () if found is None else (found,)
    else:
        yield from (page.objects for page in store.list_pages(bucket, name))


def check_vectors(
    deployment: Deployment, sample: Iterable[MatchedRow], embedder: ImageEmbedder
) -> Iterator[Finding | None]:
    """Embed the images of `sample` again and compare the rows with them: None for each that is right."""
    with tempfile.TemporaryDirectory(prefix="stepvec-audit-") as folder:
        # Under a name of our own: a key is not a path.
        file = Path(folder) / "image"
        for matched in sample:
            try:
                row = _read_row(deployment, matched.image_id)
            except RecordError as error:
                yield Finding(FindingKind.UNREADABLE_ROW, matched.key, matched.image_id, error.message)
                continue
            data = _read_image(deployment, matched)
            if row is None or data is None or row.etag != matched.etag:
                yield None  # changed since it was listed
                continue
            file.write_bytes(data)
            vector = embedder.vector(file)
            if isinstance(vector, str):
                message = f"Its image cannot be embedded: {vector}"
                yield Finding(FindingKind.WRONG_VECTOR, matched.key, matched.image_id, message)
            else:
                yield compare_vectors(row, vector)


def _read_row(deployment: Deployment, image_id: str) -> VectorItem | None:
    answer = deployment.client("dynamodb").get_item(
        TableName=deployment.table, Key={PARTITION_KEY: {"S": image_id}}, ConsistentRead=True
    )
    return decode_item(answer["Item"]) if "Item" in answer else None


def _read_image(deployment: Deployment, matched: MatchedRow) -> bytes | None:
    client: Any = deployment.client("s3")
    try:
        answer = client.get_object(Bucket=deployment.image_bucket, Key=matched.key, IfMatch=f'"{matched.etag}"')
    except ClientError as error:
        if error_code(error) in _CHANGED:
            return None
        raise
    body: bytes = answer["Body"].read()
    return body
