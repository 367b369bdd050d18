"""Exit codes of `stepvec`: the one table, which docs/cli.md shows."""

from __future__ import annotations

from typing import Final

SUCCEEDED: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
DEFECT: Final = 70
HUNG_UP: Final = 129
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143

MEANINGS: Final = {
    SUCCEEDED: "The command did what it was asked to; with --wait, the run is complete.",
    FAILED: "It could not, and says why and what to do; or its answer is bad news: a run that is not complete, an "
    "audit that finds differences, a doctor who would stop a deployment.",
    WRONG_USAGE: "No such command or option, or a value that it does not take. Nothing was done.",
    DEFECT: "A defect of Stepvec itself, with its traceback in a file that is named: EX_SOFTWARE of sysexits.h.",
    HUNG_UP: "Its terminal was closed (SIGHUP). As of shells: 128 and the signal's number.",
    INTERRUPTED: "Ended by Ctrl-C (SIGINT). Of a local AWS nothing is left; a run on AWS goes on.",
    BROKEN_PIPE: "Whoever read the output stopped reading, as `| head` does: 128 + SIGPIPE, and not a word.",
    TERMINATED: "Ended by SIGTERM, in the same way.",
}


def of_signal(number: int) -> int:
    """The exit code of a command that a signal ended."""
    return 128 + number
