"""Patches of moto's DynamoDB for tables of many rows: a request costs its own rows, not those of the whole table."""

from __future__ import annotations

import base64
import copy
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import table as tables
from moto.dynamodb.models.dynamo_type import Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

_EXPRESSIONS: Final = 256
_SCALARS: Final = frozenset({"S", "N", "B", "BOOL", "NULL"})

_Segments = tuple[int | None, int | None]
_Order = tuple[list[str], list[Any]]
"""The hash keys of a segment, sorted, as text and as moto has them."""


def scan_by_page() -> None:
    """moto sorts all rows for each page of a Scan, and passes over those of the pages before it.

    20,000 rows in eight segments took 33 s of CPU, and twice as many would have taken four times as long. Only of
    tables without a sort key, and without an index or the legacy ScanFilter, which are left to moto.
    """
    original = Table.scan
    orders: WeakKeyDictionary[Any, dict[_Segments, _Order]] = WeakKeyDictionary()

    def scan(
        table: Any,
        filters: dict[str, Any],
        limit: int | None,
        exclusive_start_key: dict[str, Any] | None,
        filter_expression: Any = None,
        index_name: str | None = None,
        consistent_read: bool = False,
        projection_expression: list[list[str]] | None = None,
        segments: _Segments = (None, None),
    ) -> tuple[list[Any], int, dict[str, Any] | None]:
        if filters or index_name or table.range_key_attr is not None or table.hash_key_type != "S":
            return original(  # type: ignore[no-any-return]
                table, filters, limit, exclusive_start_key, filter_expression, index_name, consistent_read,
                projection_expression, segments,
            )  # fmt: skip
        known = orders.setdefault(table, {})
        # A row that is there when a scan begins is in its order, and in every later one.
        if exclusive_start_key is None or segments not in known:
            known[segments] = _order_of(table, segments)
        names, keys = known[segments]
        first = (
            0 if exclusive_start_key is None else bisect_right(names, _text(exclusive_start_key[table.hash_key_attr]))
        )
        page, last = _page(table, islice(keys, first, None), limit)
        found = [row for row in page if filter_expression is None or filter_expression.expr(row)]
        if projection_expression:
            found = [row.project(projection_expression) for row in found]
        return found, len(page), last

    Table.scan = scan


def _order_of(table: Any, segments: _Segments) -> _Order:
    # A copy first: other threads write rows meanwhile.
    rows = [row for row in list(table.items.values()) if row.is_within_segment(segments)]
    rows.sort(key=lambda row: row.hash_key.value)
    return [row.hash_key.value for row in rows], [row.hash_key for row in rows]


def _page(table: Any, keys: Iterator[Any], limit: int | None) -> tuple[list[Any], dict[str, Any] | None]:
    """Copies of the rows of the next page, and the key of its last row where there may be more."""
    rows: list[Any] = []
    size = 0
    for key in keys:
        row = table.items.get(key)
        if row is None:
            continue
        size += row.size()
        if rows and (len(rows) == limit or size > tables.RESULT_SIZE_LIMIT):
            return rows, table._get_last_evaluated_key(rows[-1], None)
        rows.append(copy.deepcopy(row))
    return rows, None


def _text(value: Any) -> str:
    text: str = value["S"] if isinstance(value, dict) else value.value
    return text


def project_quickly() -> None:
    """moto makes the whole row JSON for each attribute of a projection, vector and all: 0.4 ms a row for seven."""
    original = Item.project

    def project(item: Any, projection_expressions: list[list[str]]) -> Any:
        # "L[0]" is one name for moto.
        if any(len(path) != 1 or "[" in path[0] for path in projection_expressions):
            return original(item, projection_expressions)
        names = dict.fromkeys(path[0] for path in projection_expressions)
        projected = Item.__new__(Item)
        projected.hash_key, projected.range_key = item.hash_key, item.range_key
        projected.attrs = LimitedSizeDict()
        for name in names:
            if name in item.attrs:
                # Not LimitedSizeDict's own, which weighs all that it holds each time: the row has passed that.
                dict.__setitem__(projected.attrs, name, copy.deepcopy(item.attrs[name]))
        return projected

    Item.project = project


def read_expressions_once() -> None:
    """moto takes a condition apart twice for each PutItem, a third of its time; clients send few different ones."""
    original = ConditionExpressionParser._lex_condition_expression

    @lru_cache(maxsize=_EXPRESSIONS)
    def lexed(expression: str) -> tuple[Any, ...]:
        return tuple(original(ConditionExpressionParser(expression, None, None)))

    ConditionExpressionParser._lex_condition_expression = lambda parser: deque(lexed(parser.condition_expression))


def answer_attributes_quickly() -> None:
    """moto looks in each attribute's value for all ten types that it could have, most of a BatchGetItem's time."""
    original = BaseJSONSerializer._serialize_type_structure

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and key and isinstance(value, dict) and len(value) == 1:
            (kind,) = value
            content = value[kind]
            if kind in _SCALARS and content is not None:
                encoded = base64.b64encode(content).decode() if isinstance(content, bytes) else content
                serializer._default_serialize(serialized, {kind: encoded}, shape, key)
                return
        original(serializer, serialized, value, shape, key)

    BaseJSONSerializer._serialize_type_structure = serialize


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "dynamodb_scan_pages": scan_by_page,
    "dynamodb_projection": project_quickly,
    "dynamodb_conditions": read_expressions_once,
    "dynamodb_answers": answer_attributes_quickly,
}
