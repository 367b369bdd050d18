"""How a command ends by a signal: Ctrl-C, SIGTERM, a closed terminal.

The first one is an exception, so that whatever is open is closed. If that takes long, or another one comes, the process
becomes a waiter: all its threads, ports and locks are gone at once, the keepers of its workspaces (`localaws.keeper`)
clear up, and the waiter ends when they have.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from stepvec_cli.exit_codes import of_signal

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_CLOSING_SECONDS: Final = 5.0
_SHOW_CURSOR: Final = b"\x1b[?25h"
_WAITER: Final = """
import os, sys, time
end = time.monotonic() + 15
try:
    while time.monotonic() < end:
        if os.waitpid(-1, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
except ChildProcessError:
    pass
os._exit(int(sys.argv[1]))
"""

_received: int | None = None


class Ended(BaseException):
    """The command is to end: it got this signal. Not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """In this block a signal that ends the command raises Ended; the process then ends with 128 and its number.

    A signal that is ignored stays so: nohup ignores SIGHUP, a shell script SIGINT for what it starts in the background.
    """
    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        # Whatever has become of the exception: where there was a signal, it says how the process ends.
        if _received is not None:
            _leave(of_signal(_received))
        for number in ENDINGS:
            if signal.getsignal(number) == _end:
                signal.signal(number, signal.SIG_DFL)


def is_ending() -> bool:
    """Whether a signal has come: what fails from then on is no news."""
    return _received is not None


def _end(number: int, _: FrameType | None) -> None:
    global _received  # signals are the process's
    if _received is not None:
        _become_waiter(of_signal(_received))
    _received = number
    if number == signal.SIGHUP:
        _let_go_of_terminal()
    # Not threading.Thread: this may have interrupted one that holds its lock.
    _thread.start_new_thread(_end_at_last, (of_signal(number),))
    raise Ended(number)


def _end_at_last(code: int) -> None:
    time.sleep(_CLOSING_SECONDS)
    _become_waiter(code)


def _leave(code: int) -> NoReturn:
    """End without waiting for threads. Children are left only where the exception came between two steps of ours."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        os._exit(code)
    _become_waiter(code)


def _become_waiter(code: int) -> NoReturn:
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
    # The waiter inherits it. (Handlers are set by a process's first thread alone, and this may be another.)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    with suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", _WAITER, str(code)])  # noqa: S606  no shell is meant
    os._exit(code)


def _let_go_of_terminal() -> None:
    """A terminal that is gone refuses every line, which would end the closing half-way."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.isatty(descriptor):
                os.dup2(nothing, descriptor)
    os.close(nothing)
