"""Output for people goes to standard error, output for programs to standard output."""

from __future__ import annotations

from typing import Final

from rich.console import Console

errors: Final = Console(stderr=True)
"""Progress, notes and errors."""
answers: Final = Console()
"""Answers for people, where there is no `--json`."""


def tell(text: str, console: Console = errors) -> None:
    """Print `text` as it is: what it quotes is no markup, and only a terminal breaks its lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
