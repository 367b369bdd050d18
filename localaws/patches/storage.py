"""Patches of moto's S3 and DynamoDB."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.utilities import RegexConverter
from moto.s3.models import FakeDeleteMarker, FakeKey, FakeTableStorageBucket, S3Backend

_BATCH_WRITE_ITEMS: Final = 25


def keys_with_newlines() -> None:
    """A newline is a character of a key like any other; moto's paths end at it, and it answers 404."""
    create = RegexConverter.__init__

    def init(converter: Any, url_map: Any, *items: Any) -> None:
        create(converter, url_map, *items)
        converter.regex = f"(?s:{converter.regex})"

    RegexConverter.__init__ = init


def limit_batch_writes() -> None:
    """moto takes any number of items, and two writes of one key when anything else in them differs."""
    original = DynamoHandler.batch_write_item

    def batch_write_item(handler: Any) -> Any:
        tables: Mapping[str, list[dict[str, Any]]] = handler.body["RequestItems"]
        if sum(map(len, tables.values())) > _BATCH_WRITE_ITEMS:
            raise MockValidationException("Too many items requested for the BatchWriteItem call")
        for name, requests in tables.items():
            table = handler.dynamodb_backend.get_table(name)
            names = [part["AttributeName"] for part in table.schema]
            keys = [_key_of(request, names) for request in requests]
            if len(set(keys)) < len(keys):
                raise MockValidationException("Provided list of item keys contains duplicates")
        return original(handler)

    DynamoHandler.batch_write_item = batch_write_item


def _key_of(request: Mapping[str, Any], names: list[str]) -> str:
    (content,) = request.values()
    attributes = content.get("Item") or content.get("Key") or {}
    return json.dumps([attributes.get(name) for name in names], sort_keys=True)


def list_by_page() -> None:
    """moto sorts all keys of the bucket twice for each page: a listing takes the square of its keys."""
    original = S3Backend.list_objects_v2

    def list_objects_v2(
        backend: Any,
        bucket: Any,
        prefix: str | None,
        delimiter: str | None,
        continuation_token: str | None,
        start_after: str | None,
        max_keys: int,
    ) -> Any:
        if delimiter or max_keys < 1 or isinstance(bucket, FakeTableStorageBucket):
            return original(backend, bucket, prefix, delimiter, continuation_token, start_after, max_keys)
        after = backend._pagination_tokens.get(continuation_token) if continuation_token else start_after
        # A copy first: other threads put keys meanwhile.
        names = _live_names(bucket.keys, list(bucket.keys), prefix or "", after or "")
        found = [bucket.keys[name] for name in heapq.nsmallest(max_keys + 1, names) if name in bucket.keys]
        return backend._truncate_result(found, max_keys)

    S3Backend.list_objects_v2 = list_objects_v2


def read_while_replaced() -> None:
    """Who reads an object gets it whole, replaced or deleted meanwhile or not, with its own ETag.

    moto closes the bytes of the one that was replaced, under whoever reads them (a 500), and reads them for the ETag
    without the lock that reads of its value hold.
    """
    read_etag: Any = FakeKey.etag.fget

    def etag(key: Any) -> Any:
        with key.lock:
            return read_etag(key)

    def dispose(key: Any, garbage: bool = False) -> None:  # noqa: ARG001 - its bytes go with it
        key.disposed = True

    FakeKey.etag = property(etag)
    FakeKey.dispose = dispose


def _live_names(keys: Any, names: list[str], prefix: str, after: str) -> Iterator[str]:
    for name in names:
        if name > after and name.startswith(prefix) and not isinstance(keys.get(name), (FakeDeleteMarker, type(None))):
            yield name


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "s3_newlines": keys_with_newlines,
    "s3_listing_pages": list_by_page,
    "s3_reads_while_replaced": read_while_replaced,
    "dynamodb_batch_write": limit_batch_writes,
}
