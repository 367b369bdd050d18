"""How a command ends: whatever goes wrong is one line that says what, and one that says what to do.

Nothing heavy is imported before something went wrong: `--help` comes by here too.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import typer

# Typer carries its own click, and shows it nowhere else; its version is locked.
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError

from stepvec.errors import StepvecError
from stepvec_cli.endings import is_ending
from stepvec_cli.exit_codes import BROKEN_PIPE, DEFECT, FAILED, INTERRUPTED
from stepvec_cli.text import printable

_SPACE: Final = "Free some space. Temporary files go elsewhere with TMPDIR=FOLDER."
_RIGHTS: Final = "Change its rights, or give another place."
_OF_THE_MACHINE: Final = {
    errno.ENOSPC: ("The disk is full", _SPACE),
    errno.EDQUOT: ("Your quota of the disk is used up", _SPACE),
    errno.EROFS: (
        "The file system is read-only",
        "Give another place. Temporary files: TMPDIR=FOLDER.",
    ),
    errno.EACCES: ("It is not allowed", _RIGHTS),
    errno.EPERM: ("It is not allowed", _RIGHTS),
    errno.EMFILE: ("Too many files are open", "Raise the limit: ulimit -n 4096"),
    errno.ENOMEM: ("There is not enough memory", "Close other programs, or use --slots 1 or smaller --shard-size."),
    errno.ETXTBSY: ("The file is being run", _RIGHTS),
}
"""Errors of the operating system that are of the machine and not of ours: what is said, and the remedy."""
_WORDS_OF_PYDANTIC: Final = (
    ("Input should be", "It should be"),
    ("Value error, ", ""),
    (", unable to parse string as an integer", ""),
    (", unable to parse string as a number", ""),
    ("a valid integer, got a number with a fractional part", "a whole number"),
    ("a valid integer", "a whole number"),
)


def end_of(app: Callable[..., Any]) -> int:
    """Run `app` with the process's arguments; the exit code. Nothing that is raised passes, but for SystemExit."""
    make_output_writable()
    threading.excepthook = _of_a_thread
    code = _code_of(lambda: app(standalone_mode=False, prog_name="stepvec"))
    if sys.stdout is not None and (flushed := _code_of(sys.stdout.flush)):
        # Python flushes what is left when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return flushed
    return code


def _code_of(part: Callable[[], Any]) -> int:
    try:
        code = part()
    except SystemExit as end:
        # What Typer and rich make of a broken pipe, with an exit code of their own.
        if isinstance(end.__context__, BrokenPipeError):
            return BROKEN_PIPE
        raise
    except BrokenPipeError:
        # Whoever read the output has enough, as `| head` has: an end without a word, as of any program of the shell.
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        typer.echo(err=True)  # the question's line has no end
        say("Nobody answered the question.", "Nothing more was done. See --help for the option that answers it.")
        return FAILED
    except ClickException as error:
        return _wrong_usage(error)
    except StepvecError as error:
        say(error.message, error.remedy)
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last one who sees it
        return _unforeseen(error)
    return code if isinstance(code, int) else 0


def say(message: str, remedy: str) -> None:
    """The two lines of an error, each whole on one line where no terminal wraps it; never read as markup."""
    from rich.text import Text

    from stepvec_cli.console import errors

    errors.quiet = False
    wrapped = errors.is_terminal
    errors.print(Text.assemble(("error: ", "bold red"), one_line(message)), soft_wrap=not wrapped)
    if remedy:
        errors.print(Text(f"       {one_line(remedy)}"), soft_wrap=not wrapped)


def one_line(text: str) -> str:
    """`text` on one line, with what would move the cursor, or turn the line around, written as an escape."""
    return printable(" ".join(text.split()))


def make_output_writable() -> None:
    """Have standard output take every text: what its encoding has no sign for becomes an escape that JSON reads too.

    LC_ALL=C, a Latin-1 terminal, a file's name that is no Unicode: an answer must not fail when all is done.
    """
    codecs.register_error("stepvec", _as_json_escape)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # To a stream in ASCII click would write UTF-8 by a stream of its own, with "?" for what is no Unicode.
        is_ascii = codecs.lookup(sys.stdout.encoding).name == "ascii"
        sys.stdout.reconfigure(encoding="utf-8" if is_ascii else None, errors="stepvec")


def _as_json_escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end


def _wrong_usage(error: ClickException) -> int:
    context = error.ctx if isinstance(error, UsageError) else None
    if isinstance(error, NoArgsIsHelpError) and context is not None:
        typer.echo(context.get_help(), err=True)
        return error.exit_code
    called = context.command_path if context is not None else f"stepvec {_command()}".rstrip()
    say(_plainly(error.format_message()), f"See: {called} --help")
    return error.exit_code


def _plainly(message: str) -> str:
    """What Typer says, without the words of the library that checks its values."""
    for theirs, ours in _WORDS_OF_PYDANTIC:
        message = message.replace(theirs, ours)
    return message.removeprefix("Invalid value: ")


def _unforeseen(error: Exception) -> int:
    if is_ending():
        return FAILED  # closing what a signal interrupted: the signal is the exit code
    if (told := _of_aws(error) or _of_machine(error)) is not None:
        say(told.message, told.remedy)
        return FAILED
    _report_defect(error, f"stepvec {_command()}")
    return DEFECT


def _of_aws(error: Exception) -> StepvecError | None:
    if "botocore" not in sys.modules:
        return None
    from stepvec.client.refusals import explained, is_of_aws

    return explained(error) if is_of_aws(error) else None


def _of_machine(error: Exception) -> StepvecError | None:
    if isinstance(error, ModuleNotFoundError):
        return StepvecError(f"The installation is not whole: {error}.", remedy="Run `make setup` in the checkout.")
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "")
    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
        return None
    said, remedy = _OF_THE_MACHINE[error.errno]
    named = isinstance(error.filename, str | bytes)
    where = f": {os.fsdecode(error.filename)}" if named else ", where output or temporary files go"
    return StepvecError(f"{said}{where}.", remedy=remedy)


def _report_defect(error: BaseException, what: str) -> None:
    from stepvec_cli.defects import write_traceback

    said = one_line(str(error))[:300]
    file = write_traceback(error)
    where = f"The traceback is in {file}: open an issue with that file." if file else "Open an issue with this line."
    say(
        f"{what} failed in a way that nobody foresaw: {type(error).__name__}{f': {said}' if said else ''}",
        f"This is a defect of Stepvec. {where}",
    )


def _of_a_thread(arguments: threading.ExceptHookArgs) -> None:
    if is_ending():
        return
    if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
        name = arguments.thread.name if arguments.thread else "a thread"
        _report_defect(arguments.exc_value, f"A part of stepvec {_command()} ({name})")


def _command() -> str:
    """The words of the command that was called, without its arguments."""
    from stepvec_cli.commands import COMMANDS, LOCAL

    given = [word for word in sys.argv[1:] if not word.startswith("-")][:2]
    names = {row.name for section in COMMANDS for row in section.rows}
    locals_ = {row.name for section in LOCAL for row in section.rows}
    words = given[:1] if given and given[0] in names else []
    return " ".join([*words, *(word for word in given[1:] if words == ["local"] and word in locals_)])
