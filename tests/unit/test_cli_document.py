"""docs/cli.md is the commands' help, which reads at any width, and whose examples are commands that there are.

    STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_cli_document.py

writes it again.
"""

from __future__ import annotations

import os
import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from stepvec_cli import exit_codes
from stepvec_cli.help import Command
from stepvec_cli.lazy import LazyGroup
from stepvec_cli.main import app
from tools.cli_document import DOCUMENT, commands, document, help_text

ALL = list(commands())
ROOT_GROUP = typer.main.get_command(app)
END_OF_COMMAND = {"|", ">", "&", "&&", ";", ">>"}


def command(words: tuple[str, ...]) -> Command | LazyGroup:
    found = ROOT_GROUP
    for word in words:
        assert isinstance(found, LazyGroup)
        found = found.commands[word]
    assert isinstance(found, Command | LazyGroup)
    return found


def named(words: tuple[str, ...]) -> str:
    return " ".join(words) or "stepvec"


SINGLE = [words for words in ALL if isinstance(command(words), Command)]


def test_the_document_is_the_help() -> None:
    text = document()
    if os.environ.get("STEPVEC_UPDATE"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text, "STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_cli_document.py"


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("words", ALL, ids=named)
def test_help_fits_the_terminal(words: tuple[str, ...], columns: int) -> None:
    told, _, examples = help_text(words, columns).partition("\nExamples:\n")
    assert [line for line in told.splitlines() if len(line) > columns] == []
    # An example is to be copied: it is not broken, and is for a terminal of 80.
    assert [line for line in examples.splitlines() if len(line) > 80] == []
    # Words have room: no column of them is narrower than half of the terminal.
    indents = [len(line) - len(line.lstrip()) for line in told.splitlines() if line.strip()]
    assert max(indents) <= columns // 2


@pytest.mark.parametrize("words", ALL, ids=named)
def test_help_is_free_of_types_and_doubled_flags(words: tuple[str, ...]) -> None:
    told = help_text(words)
    assert not re.search(r"<\w+>|--no-|\[\[|\bNone\b|list\[|\[required\]", told)
    for line in re.findall(r"^  (--?[a-z].*)$", told, flags=re.MULTILINE):
        assert re.match(r"(-\w, )?--[a-z][a-z0-9-]+( [A-Z_]+| [\w|]+)?(  |$)", line), line


def examples() -> list[tuple[tuple[str, ...], str]]:
    return [
        (words, line) for words in SINGLE if isinstance(found := command(words), Command) for line in found.examples
    ]


@pytest.mark.parametrize("words", SINGLE, ids=named)
def test_every_command_has_examples_of_itself(words: tuple[str, ...]) -> None:
    own = [line for of, line in examples() if of == words]
    assert own
    assert all(f"stepvec {named(words)}" in line for line in own)


def typed(line: str) -> list[list[str]]:
    """The arguments of each `stepvec` in a line of shell."""
    inner = re.findall(r"\$\(([^)]*)\)", line)
    found = []
    for text in (re.sub(r"\$\([^)]*\)", "ANSWER", line), *inner):
        words = shlex.split(text, comments=True)
        if "stepvec" in words:
            rest = words[words.index("stepvec") + 1 :]
            ends = [position for position, word in enumerate(rest) if word in END_OF_COMMAND]
            found.append(rest[: min(ends, default=len(rest))])
    return found


@pytest.mark.parametrize(("words", "line"), examples(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_example_is_a_command_that_there_is(words: tuple[str, ...], line: str) -> None:
    lines = typed(line)
    assert lines
    for arguments in lines:
        group, context = ROOT_GROUP, None
        while True:
            assert isinstance(group, LazyGroup)
            context = group.make_context("stepvec", [arguments[0]], parent=context)
            name, found, arguments = group.resolve_command(context, arguments)
            if not isinstance(found, LazyGroup):
                break
            group = found
        assert found is not None
        assert found.make_context(name, arguments, parent=context).params is not None


def test_a_wrong_example_would_be_found() -> None:
    ((first,), (second, third)) = typed("stepvec status"), typed('stepvec run --manifest "$(stepvec inventory x)" > y')
    assert (first, second, third) == (["status"], ["run", "--manifest", "ANSWER"], ["inventory", "x"])
    for wrong in (["plan", "--imagse", "3"], ["plan", "--images", "many"], ["weights", "--source", "elsewhere"]):
        result = CliRunner().invoke(app, wrong)
        assert result.exit_code == exit_codes.WRONG_USAGE


def test_every_exit_code_is_in_the_table() -> None:
    constants = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert set(exit_codes.MEANINGS) == constants
