"""Where two recordings of a case differ, and why that is well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.second_opinion.cases import Recording

Differences = Mapping[str, tuple[Any, Any]]
"""By aspect: what the embedded AWS has, and what ministack has."""


@dataclass(frozen=True)
class Explanation:
    """Why `aspects` of the cases that `cases` names (`*` at its end: all that begin so) may differ.

    docs/local.md has each `reason`, with whose it is.
    """

    cases: tuple[str, ...]
    aspects: tuple[str, ...]
    reason: str


EXPLANATIONS: Final = (
    Explanation(
        ("*",), ("output of a failure",), "A FAILED execution has an output; on AWS it has error and cause only."
    ),
    Explanation(
        ("lost-verify-run",),
        ("cause",),
        "An error of Lambda's own is raised by the replayed function: the name is the same, the words are not.",
    ),
)


def differences(ours: Recording, theirs: Recording) -> Differences:
    """Aspects in which the replay is another than the recording."""
    aspects = {
        "path": (ours.path, theirs.path),
        "calls": (_functions(ours), _functions(theirs)),
        **{name: (ours.end[name], theirs.end[name]) for name in ("status", "error", "cause")},
        "output" if ours.end["status"] == "SUCCEEDED" else "output of a failure": (
            ours.end["output"],
            theirs.end["output"],
        ),
    }
    return {name: pair for name, pair in aspects.items() if _parsed(pair[0]) != _parsed(pair[1])}


def _functions(recording: Recording) -> dict[str, int]:
    """Calls of functions: a job is a mock there, which nobody counts. How far a stopped one came is chance."""
    calls = {call: number for call, number in sorted(recording.calls.items()) if not call.startswith("SubmitJob")}
    if recording.end["status"] != "ABORTED":
        return calls
    verified = {call for call in calls if call.startswith("VerifyShard ")}
    return {call: calls[call] for call in calls if call not in verified} | {"VerifyShard": min(1, len(verified))}


def _parsed(value: Any) -> Any:
    """A cause that is JSON is the same with other spaces in it."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def explain(
    found: Mapping[str, Differences], explanations: tuple[Explanation, ...] = EXPLANATIONS
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The reason for each difference that has one, by case and aspect, and the reasons that nothing needs."""
    reasons = {
        (case, aspect): one.reason
        for case, aspects in found.items()
        for aspect in aspects
        for one in explanations
        if aspect in one.aspects and any(fnmatchcase(case, pattern) for pattern in one.cases)
    }
    return reasons, [one.reason for one in explanations if one.reason not in reasons.values()]
