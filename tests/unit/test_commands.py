"""The table of commands: it is true, and what is asked for help imports nothing that help does not need."""

from __future__ import annotations

import inspect
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from stepvec_cli.commands import COMMANDS, LOCAL, Row
from stepvec_cli.common import use_account
from stepvec_cli.lazy import LazyGroup
from stepvec_cli.main import app
from tests.conftest import ROOT

ROWS = {
    " ".join((*words, row.name)): row
    for words, sections in (((), COMMANDS), (("local",), LOCAL))
    for section in sections
    for row in section.rows
}
FUNCTIONS = {name: row for name, row in ROWS.items() if row.target}
# No time is asserted: these are what made `--help` take two seconds.
HEAVY = {
    "aws_cdk", "boto3", "botocore", "cattrs", "jinja2", "jsii", "moto", "numpy", "PIL", "psutil", "pyarrow",
    "pydantic", "rich", "urllib3", "requests",
}  # fmt: skip
VERY_HEAVY = {"aws_cdk", "boto3", "jsii", "moto", "numpy", "PIL", "pyarrow"}
"""What the help of a single command does without as well."""
ASKED = """
import sys
sys.argv[0] = "PROGRAM"
from stepvec_cli.main import run
try:
    run()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(*arguments: str, program: str = "-c") -> set[str]:
    """Names of the modules that a process has after `stepvec` with these arguments, but for what Python begins with."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED.replace("PROGRAM", program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_completing_the_name_of_a_command_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_STEPVEC_COMPLETE": "complete_bash", "COMP_WORDS": "stepvec r", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    modules = imported(program="stepvec")
    assert packages(modules) & HEAVY == set()
    assert "stepvec_cli.run" not in modules


def test_no_color_takes_the_colours_away() -> None:
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "xterm", "FORCE_COLOR": "", "COLUMNS": "80"}
    leader, follower = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", ASKED, "status", "--region", "nowhere", "--profile", "none"],
            env=environ, stderr=follower, stdout=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        told = os.read(leader, 100_000).decode()
    finally:
        os.close(follower)
        os.close(leader)
    assert "error: " in told
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", told), "no colour"


def test_help_imports_what_the_documentation_says() -> None:
    modules = {
        module
        for module in imported("--help")
        if (package := module.partition(".")[0]) not in sys.stdlib_module_names and not package.startswith("_")
    }
    # Of this environment, not of the command: what setuptools' and the editable install's .pth files import.
    modules = {module for module in modules if not module.startswith(("__editable__", "distutils"))}
    told = (ROOT / "docs" / "cli.md").read_text().partition("import no command: ")[2].partition("A command's")[0]
    documented = set(re.findall(r"`([\w.]+)`", told))
    ours = {module for module in modules if module.startswith("stepvec.") and "." in module}
    assert ours - {"stepvec.client"} == {name for name in documented if name.startswith("stepvec.")}
    assert packages(modules) - {"stepvec"} == {name for name in documented if "." not in name}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_commands_help_imports_no_library_that_takes_long(name: str) -> None:
    assert packages(imported(*name.split(), "--help")) & VERY_HEAVY == set()


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("--version",), ("local", "--help"), ("--show-completion",)]
)
def test_help_and_version_import_no_command_and_nothing_heavy(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert packages(modules) & HEAVY == set()
    targets = {f"stepvec_cli.{row.target.partition(':')[0]}" for row in FUNCTIONS.values()}
    assert modules & targets == set()
    assert packages(modules) & {"local_pipeline", "localaws", "stacks"} == set()


def function(row: Row) -> object:
    module, _, name = row.target.partition(":")
    return getattr(import_module(f"stepvec_cli.{module}"), name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_line_in_the_list_is_the_first_of_the_commands_own_help(name: str) -> None:
    assert (inspect.getdoc(function(ROWS[name])) or "").splitlines()[0] == ROWS[name].help


def test_help_lists_every_command_and_local_first() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    listed = [line.split()[0] for line in told.partition("On this machine:")[2].splitlines() if line[2:3].isalpha()]
    names = [name for name in ROWS if " " not in name]
    assert [word for word in listed if word in names] == names
    assert names[0] == "local"


def test_a_slip_is_told_what_it_might_have_been() -> None:
    result = CliRunner().invoke(app, ["lokal"])
    assert result.exit_code == 2
    assert "Did you mean 'local'?" in result.output


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_reads_at_60_columns(name: str) -> None:
    # Wide enough for the longest option, and half of the line left for what it means.
    result = CliRunner().invoke(app, [*name.split(), "--help"], terminal_width=60)
    told = result.output.partition("\nExamples:\n")[0].splitlines()
    assert result.exit_code == 0
    assert [line for line in told if len(line) > 60] == []
    words = [line for line in told if (column := re.match(r" {10,}(?=\S)", line)) and column.end() > 30]
    assert words == [], "the words are squeezed"


def commands(group: LazyGroup) -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        yield name, command
        if isinstance(command, LazyGroup):
            yield from commands(command)


def test_every_command_takes_short_help_and_those_that_speak_to_aws_an_account() -> None:
    for name, row in FUNCTIONS.items():
        told = CliRunner().invoke(app, [*name.split(), "-h"]).output
        assert f"Usage: root {name}" in told or f"{name} [OPTIONS]" in told
        assert "--quiet" in told
        assert ("--profile" in told) is ("--region" in told) is row.aws, name


def test_a_profile_that_is_named_wins_over_keys_in_the_environment() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "AWS_REGION": "eu-1"}
    use_account(environ, "work", None)
    assert environ == {
        "AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "work", "AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "eu-1"
    }  # fmt: skip
    use_account(environ, None, "eu-2")
    assert (environ["AWS_REGION"], environ["AWS_DEFAULT_REGION"], environ["AWS_PROFILE"]) == ("eu-2", "eu-2", "work")


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("stepvec ")


def test_names_of_commands_are_completed_from_the_table() -> None:
    def complete(words: str) -> list[str]:
        variables = {"_STEPVEC_COMPLETE": "complete_bash", "COMP_WORDS": f"stepvec {words}", "COMP_CWORD": "1"}
        variables["COMP_CWORD"] = str(len(words.split(" ")))
        result = CliRunner().invoke(app, [], env=variables, prog_name="stepvec")
        return result.output.split()

    assert complete("re") == ["report", "repair"]
    assert complete("local u") == ["up"]
    assert "--region" in complete("status --re")


def test_typer_makes_a_command_of_each_row() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    assert [name for name, _ in commands(group)] == [name.split()[-1] for name in sorted_as_listed()]


def sorted_as_listed() -> list[str]:
    top = [name for name in ROWS if " " not in name]
    return [inner for name in top for inner in (name, *(other for other in ROWS if other.startswith(f"{name} ")))]
