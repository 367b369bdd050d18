"""docs/mistakes.md: the mistakes as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cli.mistakes.case import Mistake

_HEAD = """\
# Mistakes, and what is said about them

Made from the tests that make each of them (`tests/cli/mistakes/`). Write it again with
`STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/cli/test_mistakes.py -k document`.

Every command ends a mistake in two lines on standard error: what is wrong, and what to do. The exit code is 1, or 2 where
the command line itself is wrong ([cli.md](cli.md#exit-codes)). There is no traceback on the screen: what nobody foresaw is
a line too, with the name of the file that its traceback is in (exit code 70). Words in capitals stand for names of yours.
"""


def document(mistakes: Mapping[str, Sequence[Mistake]]) -> str:
    """The whole document."""
    parts = [_HEAD]
    for title, rows in mistakes.items():
        lines = [f"## {title}", "", "| Typed | What was wrong | What is said |", "|---|---|---|"]
        lines += [
            f"| {_code(row.command)} | {_text(row.did)} | {_text(row.said)}<br>{_text(row.remedy)} |" for row in rows
        ]
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def _code(command: str) -> str:
    return f"<code>{_text(command)}</code>"


def _text(words: str) -> str:
    for sign, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("*", "\\*"),
        ("[", "\\["),
        ("_", "\\_"),
    ):
        words = words.replace(sign, entity)
    return words
