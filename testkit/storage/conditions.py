"""DynamoDB's condition expressions, as far as a conditional put needs them.

Grammar: attribute_exists and attribute_not_exists, comparisons of an attribute with a value, NOT, AND, OR and
parentheses. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

Item = Mapping[str, Any]
"""Attributes in DynamoDB's wire format."""
Condition = Callable[[Item, Mapping[str, str], Mapping[str, Any]], bool]
"""Whether it holds for an item, given the request's names and values."""

_WORD: Final = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[#:]?[A-Za-z_][\w.-]*)")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ConditionError(ValueError):
    """An expression that is not understood here."""


@lru_cache(maxsize=64)
def parse_condition(expression: str) -> Condition:
    """The condition that `expression` states. Raises ConditionError for what is outside the grammar above."""
    parser = _Parser(_words(expression))
    condition = parser.alternatives()
    if parser.peek():
        raise ConditionError(f"{expression!r} goes on with {parser.peek()!r}")
    return condition


def _words(expression: str) -> list[str]:
    words, position = [], 0
    while expression[position:].strip():
        match = _WORD.match(expression, position)
        if match is None:
            raise ConditionError(f"{expression[position:]!r} is not understood")
        words.append(match[1])
        position = match.end()
    return words


class _Parser:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._position = 0

    def peek(self) -> str:
        return self._words[self._position] if self._position < len(self._words) else ""

    def take(self, expected: str = "") -> str:
        word = self.peek()
        if not word or (expected and word != expected):
            raise ConditionError(f"{expected or 'something'!r} is missing before {word!r}")
        self._position += 1
        return word

    def alternatives(self) -> Condition:
        left = self._conjunction()
        while self.peek().upper() == "OR":
            self.take()
            left = _either(left, self._conjunction())
        return left

    def _conjunction(self) -> Condition:
        left = self._term()
        while self.peek().upper() == "AND":
            self.take()
            left = _both(left, self._term())
        return left

    def _term(self) -> Condition:
        word = self.take()
        if word.upper() == "NOT":
            inner = self._term()
            return lambda item, names, values: not inner(item, names, values)
        if word == "(":
            inside = self.alternatives()
            self.take(")")
            return inside
        if word in ("attribute_exists", "attribute_not_exists"):
            self.take("(")
            attribute = self.take()
            self.take(")")
            wanted = word == "attribute_exists"
            return lambda item, names, _: (names.get(attribute, attribute) in item) is wanted
        if word == "begins_with":
            self.take("(")
            attribute = self.take()
            self.take(",")
            value = self.take()
            self.take(")")
            return _beginning(attribute, value)
        sign = self.take()
        if sign not in _COMPARISONS:
            raise ConditionError(f"{word} {sign} is not understood")
        return _comparison(word, _COMPARISONS[sign], self.take())


def _beginning(attribute: str, value: str) -> Condition:
    def holds(item: Item, names: Mapping[str, str], values: Mapping[str, Any]) -> bool:
        text: str = item.get(names.get(attribute, attribute), {}).get("S", "")
        return text.startswith(values[value]["S"])

    return holds


def _either(left: Condition, right: Condition) -> Condition:
    return lambda item, names, values: left(item, names, values) or right(item, names, values)


def _both(left: Condition, right: Condition) -> Condition:
    return lambda item, names, values: left(item, names, values) and right(item, names, values)


def _comparison(left: str, compare: Callable[[Any, Any], bool], right: str) -> Condition:
    def holds(item: Item, names: Mapping[str, str], values: Mapping[str, Any]) -> bool:
        operands = []
        for name in (left, right):
            value = values.get(name) if name.startswith(":") else item.get(names.get(name, name))
            if value is None:
                return False
            ((kind, content),) = value.items()
            operands.append((kind, Decimal(content) if kind == "N" else content))
        # Values of two types compare as false, as in DynamoDB.
        return operands[0][0] == operands[1][0] and compare(operands[0][1], operands[1][1])

    return holds
