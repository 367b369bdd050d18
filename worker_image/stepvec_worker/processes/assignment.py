"""What an embedding process is told when it is forked, and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stepvec_worker.processes.decode_watch import DecodeWatch
from stepvec_worker.processes.messages import Usage
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import ShardFile

if TYPE_CHECKING:
    from stepvec_worker.processes.shard_job import ShardJob


class Embedding(Protocol):
    """What an embedding process works with: its job, what its engine really runs, and what it took so far."""

    job: ShardJob
    running: str

    def usage(self) -> Usage:
        """What the process took so far."""
        ...


Load = Callable[["Assignment", DecodeWatch, Callable[[], bool], Callable[[], None]], Embedding]
"""Makes an Embedding; takes whether to stop, and what to call after each batch."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What each embedding process of a worker is told when it is forked."""

    settings: Settings
    device: str
    run: str
    shard: int
    reembed: bool
    shard_file: ShardFile
    decoders: int
    supervisor: int
    """The supervisor's process id."""
    load: Load | None = None
    """Makes what the process works with; None loads the real model."""
