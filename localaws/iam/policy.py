"""Evaluates policies: actions, resources, conditions, explicit denies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from localaws.errors import LocalCloudError
from localaws.iam.credentials import as_list


class Decision(Enum):
    """What the policies of a principal say about a call."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    DENIED = "denied"
    """An explicit Deny, which no Allow outweighs."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One permission that a call needs. `context` holds condition keys in lower case."""

    action: str
    resource: str
    context: Mapping[str, str]


def evaluate(documents: Iterable[Mapping[str, Any]], requirement: Requirement) -> Decision:
    """What policy `documents` say about `requirement`.

    Raises LocalCloudError for a condition operator that is not known: guessing would make the run lie.
    """
    decision = Decision.NOT_ALLOWED
    for document in documents:
        for statement in as_list(document.get("Statement", [])):
            if not _applies(statement, requirement):
                continue
            if statement["Effect"] == "Deny":
                return Decision.DENIED
            decision = Decision.ALLOWED
    return decision


def statements_for_service(document: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The statements of a resource policy whose principal is `service` (events.amazonaws.com) or everybody."""
    statements = as_list(document.get("Statement", []))
    return {"Statement": [one for one in statements if _is_about(one.get("Principal", {}), service)]}


def _is_about(principal: Any, service: str) -> bool:
    if isinstance(principal, str):
        return principal == "*"
    return service in as_list(principal.get("Service", [])) or "*" in as_list(principal.get("AWS", []))


def _applies(statement: Mapping[str, Any], requirement: Requirement) -> bool:
    return (
        _names(statement, "Action", requirement.action, ignore_case=True)
        and _names(statement, "Resource", requirement.resource, ignore_case=False)
        and _conditions_hold(statement.get("Condition") or {}, requirement.context)
    )


def _names(statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool) -> bool:
    if element in statement:
        return any(glob_matches(pattern, value, ignore_case) for pattern in as_list(statement[element]))
    excluded = as_list(statement.get(f"Not{element}", ["*"]))
    return not any(glob_matches(pattern, value, ignore_case) for pattern in excluded)


def glob_matches(pattern: str, value: str, ignore_case: bool = False) -> bool:
    """Whether `value` is what an IAM pattern with * and ? describes."""
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    translated = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile(translated, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _conditions_hold(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    return all(
        _condition_holds(operator, key, [str(value) for value in as_list(wanted)], context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, key: str, wanted: list[str], context: Mapping[str, str]) -> bool:
    base = operator.removesuffix("IfExists")
    actual = context.get(key.lower())
    if base == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    negated = "Not" in base
    compare = _OPERATORS.get(base.replace("Not", ""))
    if compare is None:
        raise LocalCloudError(
            f"IAM condition operator {operator} is not known here.",
            remedy="Add it to localaws/iam/policy.py, or write the condition with another operator.",
        )
    if actual is None:
        # AWS: a missing key matches every negated operator, and every ...IfExists.
        return negated or base != operator
    matches = any(compare(actual, value) for value in wanted)
    return matches != negated


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda actual, wanted: actual == wanted,
    "StringEqualsIgnoreCase": lambda actual, wanted: actual.lower() == wanted.lower(),
    "StringLike": lambda actual, wanted: glob_matches(wanted, actual),
    "ArnEquals": lambda actual, wanted: glob_matches(wanted, actual),
    "ArnLike": lambda actual, wanted: glob_matches(wanted, actual),
    "Bool": lambda actual, wanted: actual.lower() == wanted.lower(),
    "NumericEquals": lambda actual, wanted: float(actual) == float(wanted),
    "NumericLessThan": lambda actual, wanted: float(actual) < float(wanted),
    "NumericLessThanEquals": lambda actual, wanted: float(actual) <= float(wanted),
    "NumericGreaterThan": lambda actual, wanted: float(actual) > float(wanted),
    "NumericGreaterThanEquals": lambda actual, wanted: float(actual) >= float(wanted),
}
