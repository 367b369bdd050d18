"""SIGTERM: Spot gives two minutes, ECS 30 seconds by default. What is in hand is finished, nothing new is begun."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Termination:
    """Whether the host asked the worker to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def install(self) -> None:
        """Take SIGTERM over. Must be called in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)

    @property
    def is_asked(self) -> bool:
        """Whether SIGTERM came."""
        return self._asked.is_set()

    def ask(self) -> None:
        """As SIGTERM does."""
        self._asked.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's own signature
        self.ask()
