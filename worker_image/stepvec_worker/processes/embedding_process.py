"""The embedding process: one model, one thread that runs it, and the chunks that its supervisor leases to it.

Imported before the supervisor forks, so it imports nothing heavy itself: neither MXNet nor numpy nor Pillow.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Final

from stepvec.adapters.telemetry import logger
from stepvec.errors import StepvecError
from stepvec_worker.processes.host import die_with, seconds_since_start
from stepvec_worker.processes.image_watch import ImageWatch
from stepvec_worker.processes.messages import (
    Acknowledged,
    Crashed,
    Ended,
    Failed,
    Finish,
    ProcessProgress,
    Ready,
    Sender,
    Stop,
    Uniform,
    Wanted,
    from_line,
)
from stepvec_worker.processes.shard_context import Chunk, ChunkTally, LoadEmbedder, ProcessHooks, ShardContext
from stepvec_worker.storage.shard_file import Lease

FIRST_VECTOR: Final = "first vector"
"""Logged once, when the first batch is embedded: how long a container takes until it is of use."""
CHUNKS_AHEAD: Final = 2
"""Chunks that a process has, whose images are not begun."""


def embed_chunks(context: ShardContext, load: LoadEmbedder, watch: ImageWatch, incoming: int, outgoing: int) -> int:
    """The process's whole life after the fork: takes leases from pipe `incoming`, answers to `outgoing`.

    Returns the exit code, 0 or 1; errors have been told to the supervisor by then.
    """
    die_with(context.supervisor)
    # Both are for the supervisor to handle, also where the whole process group gets them.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender = Sender(outgoing)
    logger.append_keys(embedding_process=os.getpid())
    try:
        EmbeddingProcess(context, load, watch, incoming, sender).run()
    except StepvecError as error:
        sender.send(Failed(type(error).__name__, error.message, error.remedy))
        return 1
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception; the supervisor must know
        logger.exception("an embedding process failed")
        message = f"{type(error).__name__}: {error}"
        sender.send(Crashed(message) if watch.in_hand() else Failed("", message, ""))
        return 1
    return 0


class EmbeddingProcess:
    """Receives leases in a thread, embeds in the main thread, acknowledges from wherever the last row was stored."""

    def __init__(
        self, context: ShardContext, load: LoadEmbedder, watch: ImageWatch, incoming: int, sender: Sender
    ) -> None:
        self._context = context
        self._load = load
        self._watch = watch
        self._incoming = incoming
        self._sender = sender
        self._leases: SimpleQueue[Lease | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._open: dict[int, ChunkTally] = {}
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._has_vector = False

    def run(self) -> None:
        """Embed what is leased until there is no more, or the supervisor says to stop."""
        threading.Thread(target=self._receive, name="receive", daemon=True).start()
        for _ in range(CHUNKS_AHEAD):
            self._sender.send(Wanted())
        gc.disable()
        self._embedder = self._load(
            self._context,
            ProcessHooks(
                self._watch,
                is_stopped=self._stopped.is_set,
                on_batch=self._on_batch,
                on_uniform=lambda line, counts: self._sender.send(Uniform(line, counts)),
            ),
        )
        # The modules and the model stay: no collection need look at them.
        gc.freeze()
        gc.enable()
        self._sender.send(Ready(self._embedder.running))
        self._lease = self._leases.get()
        while self._lease is not None and not self._stopped.is_set():
            # What is in quarantine is finished before anything else is begun; other chunks are one stream.
            self._embedder.run(self._first() if self._lease.is_quarantined else self._stream())
        self._report_progress()
        self._sender.send(Ended())

    def _receive(self) -> None:
        try:
            with os.fdopen(self._incoming, "rb") as lines:
                for line in lines:
                    message = from_line(line)
                    if isinstance(message, Lease):
                        self._leases.put(message)
                    elif isinstance(message, Finish):
                        self._leases.put(None)
                    elif isinstance(message, Stop):
                        break
            self._stopped.set()
        finally:
            # After Stop, after the supervisor's end, and after an error here: the main thread must not wait for ever.
            self._leases.put(None)

    def _first(self) -> Iterator[Chunk]:
        if self._lease is not None:
            yield self._begin(self._lease)
        self._lease = self._leases.get()

    def _stream(self) -> Iterator[Chunk]:
        while self._lease is not None and not self._lease.is_quarantined:
            yield self._begin(self._lease)
            self._lease = self._leases.get()

    def _begin(self, lease: Lease) -> Chunk:
        self._sender.send(Wanted())
        images = list(self._context.shard_file.images_of(lease))
        tally = ChunkTally(len(images), lambda tally: self._acknowledge(lease.chunk, tally))
        with self._lock:
            self._open[lease.chunk] = tally
        if not images:
            self._acknowledge(lease.chunk, tally)
        return Chunk(lease.chunk, images, tally, lease.was_leased)

    def _acknowledge(self, chunk: int, tally: ChunkTally) -> None:
        if tally.failures:
            # Before they are counted: whether any image could be read.
            self._sender.send(self._embedder.usage())
        with self._lock:
            del self._open[chunk]
            self._sender.send(Acknowledged(chunk, tally.embedded, tally.unchanged, tuple(tally.failures)))

    def _on_batch(self) -> None:
        if not self._has_vector:
            self._has_vector = True
            logger.info(FIRST_VECTOR, seconds_since_start=round(seconds_since_start(self._context.supervisor), 3))
        self._report_progress()

    def _report_progress(self) -> None:
        with self._lock:
            tallies = list(self._open.values())
            self._sender.send(
                ProcessProgress(
                    embedded=sum(tally.embedded for tally in tallies),
                    unchanged=sum(tally.unchanged for tally in tallies),
                    failed=sum(len(tally.failures) for tally in tallies),
                )
            )
        self._sender.send(self._embedder.usage())
