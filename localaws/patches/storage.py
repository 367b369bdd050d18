"""Patches of moto's S3 and DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.utilities import RegexConverter

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


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "s3_newlines": keys_with_newlines,
    "dynamodb_batch_write": limit_batch_writes,
}
