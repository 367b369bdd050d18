"""How commands end, whatever is raised: two lines, an exit code, never a traceback."""

from __future__ import annotations

import errno
import io
import json
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, NoCredentialsError

from stepvec.errors import StepvecError
from stepvec_cli.failures import end_of, make_output_writable, one_line


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["stepvec", "local", "run", "--slots", "2", "holiday"])
    hook = threading.excepthook
    yield
    threading.excepthook = hook


def app(error: BaseException | None = None, *, code: Any = None, said: str = "") -> Callable[..., Any]:
    def call(**_: Any) -> Any:
        typer.echo(said)
        if error is not None:
            raise error
        return code

    return call


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (StepvecError("It is wrong.", remedy="Mend it."), 1, "error: It is wrong.\n       Mend it.\n"),
        (StepvecError("a\n b\tc", remedy=""), 1, "error: a b c\n"),
        (StepvecError("[red]x[/] \x1b[2J \u202e", remedy="[/]"), 1, "error: [red]x[/] \\x1b[2J \\u202e\n       [/]\n"),
        (StepvecError("x" * 500, remedy="y" * 500), 1, f"error: {'x' * 500}\n       {'y' * 500}\n"),
        (NoCredentialsError(), 1, "error: There are no AWS credentials.\n"),
        (ClientError({"Error": {"Code": "Throttling"}}, "Scan"), 1, "error: AWS throttled Scan (Throttling), "),
        (OSError(errno.ENOSPC, "full", "/a"), 1, "error: The disk is full: /a.\n"),
        (MemoryError(), 1, "error: There is not enough memory"),
        (ModuleNotFoundError("No module named 'x'"), 1, "error: The installation is not whole: No module named 'x'.\n"),
        (BrokenPipeError(), 141, ""),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 1, "error: Nobody answered the question.\n"),
        (typer.BadParameter("Give one."), 2, "error: Give one.\n"),
    ],
)
def test_an_error_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, error: BaseException, code: int, told: str
) -> None:
    assert end_of(app(error)) == code
    said = capsys.readouterr().err.lstrip("\n")  # the line of a question that nobody answered is ended first
    assert said.startswith(told)
    assert said.count("\n") <= 2
    assert bool(said) == bool(told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "ended"), [(None, 0), (0, 0), (1, 1), ("a result", 0)])
def test_the_exit_code_is_the_commands(code: Any, ended: int) -> None:
    assert end_of(app(code=code)) == ended


def test_what_nobody_foresaw_is_a_line_and_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert end_of(app(ZeroDivisionError("a [bold]b"))) == 70
    (file,) = tmp_path.iterdir()
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: stepvec local run failed in a way that nobody foresaw: ZeroDivisionError: a [bold]b"
    assert second == f"       This is a defect of Stepvec. The traceback is in {file}: open an issue with that file."
    text = file.read_text()
    assert "stepvec local run --slots 2 holiday" in text
    assert "Traceback (most recent call last)" in text
    assert "in call" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_place_for_the_file_the_line_is_there_still(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "gone-too")
    assert end_of(app(ZeroDivisionError())) == 70
    assert capsys.readouterr().err.endswith("This is a defect of Stepvec. Open an issue with this line.\n")


def test_a_thread_that_fails_leaves_no_traceback_on_the_screen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def call(**_: Any) -> None:
        thread = threading.Thread(target=lambda: 1 // 0, name="upload")
        thread.start()
        thread.join()

    assert end_of(call) == 0
    said = capsys.readouterr().err
    assert said.startswith("error: A part of stepvec local run (upload) failed in a way that nobody foresaw: ")
    assert "Traceback" not in said
    assert [file.name.startswith("stepvec-error-") for file in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_text_can_be_answered(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    make_output_writable()
    typer.echo('"ü \U0001f600 \udcff"')
    # ASCII is what Python makes of LC_ALL=POSIX and the like, and no terminal: click writes UTF-8 to it.
    said = raw.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
    assert json.loads(said) == "ü \U0001f600 \udcff"


def test_what_moves_the_cursor_is_written_as_an_escape() -> None:
    assert one_line("a\x07b\u200f\udcff ü \U0001f600") == "a\\x07b\\u200f\\udcff ü \U0001f600"
