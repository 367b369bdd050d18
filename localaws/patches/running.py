"""The one embedded AWS that runs in this process, as the patches of moto find it."""

from __future__ import annotations

from dataclasses import dataclass

from localaws.batch.job import BatchHost
from localaws.context import Context
from localaws.errors import LocalCloudError
from localaws.functions.pool import LambdaPool


@dataclass(frozen=True, slots=True)
class Running:
    """An embedded AWS and what runs its jobs and its functions."""

    context: Context
    batch: BatchHost
    functions: LambdaPool


_current: Running | None = None


def set_current(running: Running | None) -> None:
    """Makes `running` the one of this process. Raises LocalCloudError when another one is still open."""
    global _current  # moto's backends are global to the process, and so is this
    if running is not None and _current is not None:
        raise LocalCloudError(
            "An embedded AWS already runs in this process.", remedy="Close it first, or use another process."
        )
    _current = running


def current() -> Running:
    """The embedded AWS of this process. Raises LocalCloudError when none is open."""
    if _current is None:
        raise LocalCloudError("No embedded AWS is open.", remedy="Call EmbeddedCloud.start first.")
    return _current
