"""docs/cli.md: every command's help, as the terminal shows it, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

from stepvec_cli.commands import COMMANDS, LOCAL, Row, Section
from stepvec_cli.exit_codes import MEANINGS
from stepvec_cli.main import app

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
COLUMNS: Final = 80
_HEAD: Final = """\
# The command line

Made from the commands' own help; `stepvec COMMAND -h` shows the same. Write it again with
`STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_cli_document.py`.

## What holds for every command

- The answer goes to standard output, as text or, with `--json`, as JSON alone. Progress, notes and errors go to
  standard error; `--quiet` leaves out progress and notes.
- A terminal shows what is being done in one line that changes. A file, a pipe and a terminal that says `TERM=dumb` get
  a line for each step. `NO_COLOR` takes the colours away.
- `--profile` and `--region` come before AWS_PROFILE and AWS_REGION, these before AWS_DEFAULT_PROFILE and
  AWS_DEFAULT_REGION. A profile that is named wins over keys in the environment.
- `--help` and `--version` import no command: of this project `stepvec.client.region`, `stepvec.errors` and the modules
  of `stepvec_cli` that hold the table of commands and lay out help; of others `typer`, `annotated_doc` and
  `shellingham`. A command's own help imports that command too, and none of boto3, numpy, pyarrow, Pillow, aws_cdk and
  moto.
- `stepvec --install-completion` has bash, zsh, fish and PowerShell complete commands and options.

## Exit codes

| Code | Meaning |
|---|---|
"""


def document() -> str:
    """The whole text of docs/cli.md."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return _HEAD + codes + "\n" + "\n".join(_help(words) for words in commands())


def commands() -> Iterator[tuple[str, ...]]:
    """What is typed for each command: of no word for `stepvec` itself, of two for those of `stepvec local`."""
    yield ()
    for row in _rows(COMMANDS):
        yield (row.name,)
        if not row.target:
            yield from ((row.name, inner.name) for inner in _rows(LOCAL))


def help_text(words: tuple[str, ...], columns: int = COLUMNS) -> str:
    """What `stepvec WORDS --help` prints on a terminal of that width."""
    output = StringIO()
    with redirect_stdout(output):
        # Two columns stay free, as on a terminal.
        app([*words, "--help"], prog_name="stepvec", standalone_mode=False, terminal_width=columns - 2)
    return output.getvalue().rstrip()


def _rows(sections: tuple[Section, ...]) -> Iterator[Row]:
    for section in sections:
        yield from section.rows


def _help(words: tuple[str, ...]) -> str:
    return f"## {' '.join(('stepvec', *words))}\n\n```text\n{help_text(words)}\n```\n"
