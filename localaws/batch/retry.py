"""AWS Batch's decision after a failed attempt: again, or not.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt failed. `exit_code` is None when the container never gave one."""

    exit_code: int | None
    reason: str
    status_reason: str


def attempts_allowed(strategy: Mapping[str, Any]) -> int:
    """How many attempts a job gets, at least 1."""
    return max(1, int(strategy.get("attempts") or 1))


def is_retried(strategy: Mapping[str, Any], end: AttemptEnd) -> bool:
    """Whether the strategy's evaluateOnExit asks for another attempt after `end`.

    The first rule of which every condition matches decides; when none matches the job is retried.
    """
    for rule in strategy.get("evaluateOnExit") or []:
        if _matches(rule, end):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _matches(rule: Mapping[str, Any], end: AttemptEnd) -> bool:
    actual = {
        "onExitCode": "" if end.exit_code is None else str(end.exit_code),
        "onReason": end.reason,
        "onStatusReason": end.status_reason,
    }
    return all(_glob_matches(rule[name], value) for name, value in actual.items() if rule.get(name) is not None)


def _glob_matches(pattern: str, value: str) -> bool:
    """A pattern that ends in * matches a beginning; any other must be equal."""
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern
