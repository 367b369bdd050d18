"""Exit codes of `stepvec`."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
"""The command failed, and said why; or what it looked at is not as it should be: a run, a table, an account."""
WRONG_USAGE: Final = 2
"""Typer's own: no such command or option, a value that it does not take."""
INTERRUPTED: Final = 130
"""128 + SIGINT, as of shells."""
