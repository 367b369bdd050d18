"""What a mistake is: what somebody did, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

Scene = Callable[[Any], AbstractContextManager[Mapping[str, str]]]
"""Prepares a mistake in a World, for the time of a block; gives variables of the environment that it needs."""


@dataclass(frozen=True)
class Mistake:
    """A command as it was typed, what was wrong about it, and the two lines that are said.

    Words in capitals stand for what differs from run to run: FOLDER, ENDPOINT, IMAGES and WORK (buckets), TABLE, MACHINE.
    `environment` is set besides that of the embedded AWS; None takes a variable away.
    """

    command: str
    did: str
    said: str
    remedy: str
    code: int = 1
    environment: Mapping[str, str | None] = field(default_factory=dict)
    scene: Scene | None = None
    needs_aws: bool = False
    """Whether the embedded AWS must be there; without it there are no credentials and no region either."""
    is_finding: bool = False
    """Whether it is one of the doctor's findings, among others, and not an error."""
    as_process: bool = False
    """Whether it runs in a process of its own: what the shell, the terminal or a signal has to do with it."""
