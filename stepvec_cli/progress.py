"""What is being done, told at once: one line that changes on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from stepvec_cli.console import errors, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS: Final = 10.0
"""Between two lines about the same bar, where no line can change: a log is to stay readable."""


def is_live() -> bool:
    """Whether standard error is a terminal whose lines can change, and wanted."""
    return errors.is_terminal and not errors.is_dumb_terminal and not errors.quiet


class Steps:
    """For as long as its block lasts, the name of the step that is being done.

    `steps("Uploading")` names the next one. Without a terminal, each is a line; with `plain=False` none is, for steps
    that end in a blink and would only be noise in a log.
    """

    def __init__(self, first: str, *, plain: bool = True) -> None:
        self._step = first
        self._is_live = is_live()
        self._is_plain = plain and not self._is_live
        self._line: Progress | None = None

    def __enter__(self) -> Self:
        if self._is_plain:
            tell(self._step, errors)
        elif self._is_live:
            errors.print(self._step, end="\r", highlight=False, markup=False)  # before what follows is imported
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._line = Progress(
                SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
                console=errors, transient=True,
            )  # fmt: skip
            self._line.add_task(self._step, total=None)
            self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, step: str) -> None:
        """Name the step that begins, or says how far it is."""
        if step == self._step:
            return
        self._step = step
        if self._line is not None:
            self._line.update(self._line.task_ids[0], description=step)
        elif self._is_plain:
            tell(step, errors)

    def stop(self) -> None:
        """Clear the line, for what is printed next; the block goes on without one."""
        if self._line is not None:
            self._line.stop()
            self._line = None
        self._is_plain = False


class Bars:
    """For as long as its block lasts, how far some things are: bars on a terminal, now and then a line elsewhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._bars: dict[str, TaskID] = {}
        self._clock = clock
        self._told: dict[str, float] = {}
        self._line = _bars() if is_live() else None

    def __enter__(self) -> Self:
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.stop()

    def __call__(self, name: str, done: int, total: int | None, note: str = "", *, last: bool = False) -> None:
        """`done` of `total` of what `name` says are done. `last`: nothing more will be said of it."""
        if self._line is not None:
            if name not in self._bars:
                self._bars[name] = self._line.add_task(name, total=total, note=note)
            self._line.update(self._bars[name], completed=done, total=total, note=note)
            return
        now = self._clock()
        if last or name not in self._told or now - self._told[name] >= PLAIN_SECONDS:
            self._told[name] = now
            counted = f"{done:,}" if total is None else f"{done:,} of {total:,}"
            tell(f"{name} {counted}{': ' if note else ''}{note}", errors)


def _bars() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=errors,
    )
