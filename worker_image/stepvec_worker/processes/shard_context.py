"""The seam between an embedding process and the work it does: what goes in, what comes out, what it calls back.

`ShardEmbedder` is the work. The worker's own is `model_embedder.ModelEmbedder`; the supervisor's tests bring another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import ImageFailure
from stepvec_worker.processes.image_watch import ImageWatch
from stepvec_worker.processes.messages import ProcessUsage
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import ShardFile


@dataclass(frozen=True, slots=True)
class ShardContext:
    """What each embedding process is told when it is forked.

    attempt: of the Batch job, from 1. supervisor: the process id of its parent.
    """

    settings: Settings
    device: str
    run: str
    shard: int
    reembed: bool
    shard_file: ShardFile
    decoders: int
    supervisor: int
    attempt: int = 1


class ChunkTally:
    """Counts the outcomes of `images` images, from several threads; calls `on_complete` once, when each has its own."""

    def __init__(self, images: int, on_complete: Callable[[ChunkTally], None]) -> None:
        self.embedded = 0
        self.unchanged = 0
        self.failures: list[ImageFailure] = []
        self._open = images
        self._on_complete = on_complete
        self._lock = threading.Lock()

    def record_embedded(self) -> None:
        """An image's row is stored by this run."""
        with self._lock:
            self.embedded += 1
        self._count_down()

    def record_unchanged(self) -> None:
        """An image's row was stored by another run."""
        with self._lock:
            self.unchanged += 1
        self._count_down()

    def record_failure(self, failure: ImageFailure) -> None:
        """An image has no row, and this is why."""
        with self._lock:
            self.failures.append(failure)
        self._count_down()

    def record_row(self, refused: ImageFailure | None) -> None:
        """An image's row was written, or refused."""
        if refused is None:
            self.record_embedded()
        else:
            self.record_failure(refused)

    def _count_down(self) -> None:
        with self._lock:
            self._open -= 1
            is_last = self._open == 0
        if is_last:
            self._on_complete(self)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images to embed, with their line numbers in the shard, and the tally that their outcomes go to.

    was_leased: another process or an earlier attempt may have stored some of them.
    """

    number: int
    images: Sequence[tuple[int, ShardImage]]
    tally: ChunkTally
    was_leased: bool = False


@dataclass(frozen=True, slots=True)
class ProcessHooks:
    """What the work of an embedding process tells and asks that process.

    watch: where it says which images are in hand. is_stopped: whether to begin nothing more. on_batch: called after
    each batch. on_uniform: called with the line of an image whose pixels all have one colour, before its row is stored,
    and whether it counts: again, with False, if the row was refused. By any thread.
    """

    watch: ImageWatch
    is_stopped: Callable[[], bool] = lambda: False
    on_batch: Callable[[], None] = lambda: None
    on_uniform: Callable[[int, bool], None] = lambda line, counts: None  # noqa: ARG005


class ShardEmbedder(Protocol):
    """What an embedding process works with. `running` is what its engine really runs."""

    running: str

    def run(self, chunks: Iterable[Chunk]) -> None:
        """Give each image of `chunks` its outcome. Raises a StepvecError for what is no image's fault."""
        ...

    def usage(self) -> ProcessUsage:
        """What the process took so far."""
        ...


LoadEmbedder = Callable[[ShardContext, ProcessHooks], ShardEmbedder]
"""Makes the ShardEmbedder, in the forked process. Raises a StepvecError for what is wrong with the model."""
