"""What a check found, and the table of all of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CELL_CHARACTERS: Final = 600
"""A cell of the table is cut here: a job's description is some kilobytes."""


class Verdict(StrEnum):
    """How what was found stands to what the texts say."""

    AS_EXPECTED = "as expected"
    DIFFERS = "**differs**"
    NOTED = "noted"
    """There was nothing to expect: the texts do not say, or say two things."""
    NOT_HERE = "cannot be asked here"
    """The place lacks what the question is about (the embedded AWS has no ECS agent)."""
    FAILED = "**failed**"
    """The question could not be put: what went wrong is in `found`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. `expected` is what the rule says (docs/aws-rules.md)."""

    check: str
    question: str
    expected: str
    found: str
    verdict: Verdict


class NotHere(Exception):  # noqa: N818 - an answer, not an error
    """Raised by a check for a question that has no answer in this place; its text says why."""


def table(findings: list[Finding], where: str) -> str:
    """The findings in Markdown, to paste into an issue."""
    lines = [f"### Proof on {where}", "", "| Check | Question | Expected | Found | |", "|---|---|---|---|---|"]
    lines += [
        f"| {finding.check} | {finding.question} | {finding.expected} | {_cell(finding.found)} | {finding.verdict} |"
        for finding in findings
    ]
    counts = ", ".join(
        f"{sum(finding.verdict is verdict for finding in findings)} {verdict.strip('*')}" for verdict in Verdict
    )
    return "\n".join([*lines, "", f"{len(findings)} answers: {counts}", ""])


def _cell(text: str) -> str:
    flat = " ".join(text.replace("|", "\\|").split())
    return flat if len(flat) <= CELL_CHARACTERS else flat[: CELL_CHARACTERS - 1] + "…"
