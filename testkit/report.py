"""Tables for the terminal and for the documents in docs/."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from testkit.machine import describe_machine

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
PERFORMANCE: Final = DOCS / "performance.md"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def write_section(name: str, text: str, document: Path = PERFORMANCE) -> None:
    """Put `text` between the marks of section `name` in `document`, with the machine and the day."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = document.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise ValueError(f"{document} has no section {begin} ... {end}")
    measured = f"Measured {datetime.now(UTC):%Y-%m-%d} on {describe_machine()}."
    before, rest = content.split(begin, 1)
    after = rest.split(end, 1)[1]
    document.write_text(f"{before}{begin}\n{text}\n\n{measured}\n{end}{after}", encoding="utf-8")
