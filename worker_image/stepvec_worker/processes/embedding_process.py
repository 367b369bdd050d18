"""The embedding process: one model, one thread at it, and the chunks that its supervisor deals.

Imported before the supervisor forks, so it imports nothing heavy itself: neither MXNet nor numpy nor Pillow.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Final

from stepvec.adapters.telemetry import logger
from stepvec.errors import StepvecError
from stepvec_worker.processes.assignment import Assignment, Embedding
from stepvec_worker.processes.chunks import Chunk, ChunkAccount
from stepvec_worker.processes.decode_watch import DecodeWatch
from stepvec_worker.processes.messages import (
    Acknowledged,
    Deal,
    Ended,
    Failed,
    Finish,
    Progress,
    Ready,
    Sender,
    Stop,
    Wanted,
    from_line,
)
from stepvec_worker.processes.process_age import seconds_since_start

FIRST_VECTOR: Final = "first vector"
"""Logged once, when the first batch is embedded: how long a container takes until it is of use."""
CHUNKS_AHEAD: Final = 2
"""Chunks that a process has, whose images are not begun."""
_PR_SET_PDEATHSIG: Final = 1


def embed_chunks(assignment: Assignment, watch: DecodeWatch, incoming: int, outgoing: int) -> int:
    """The process's whole life, after the fork: takes Deals from pipe `incoming`, answers to `outgoing`.

    Returns the exit code, 0 or 1; errors have been told to the supervisor by then.
    """
    die_with(assignment.supervisor)
    # Both are for the supervisor to answer, also where the whole process group gets them.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender = Sender(outgoing)
    logger.append_keys(embedding_process=os.getpid())
    try:
        EmbeddingProcess(assignment, watch, incoming, sender).run()
    except StepvecError as error:
        sender.send(Failed(type(error).__name__, error.message, error.remedy))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must know
        logger.exception("an embedding process failed")
        sender.send(Failed("", f"{type(error).__name__}: {error}", ""))
        return 1
    return 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which forked it, dies (Linux, prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        # It died before the kernel knew that we want to go with it.
        sys.exit(1)


def load_embedding(
    assignment: Assignment, watch: DecodeWatch, is_stopped: Callable[[], bool], on_batch: Callable[[], None]
) -> Embedding:
    """The model and the job around it. Takes seconds. Raises a StepvecError for what is wrong with the model."""
    # Here and not above: MXNet, numpy and Pillow are for forked processes alone.
    from stepvec_worker.processes.loaded_model import LoadedModel

    return LoadedModel(assignment, watch, is_stopped, on_batch)


class EmbeddingProcess:
    """Receives chunks in a thread, embeds in the main thread, acknowledges from wherever the last row was stored."""

    def __init__(self, assignment: Assignment, watch: DecodeWatch, incoming: int, sender: Sender) -> None:
        self._assignment = assignment
        self._watch = watch
        self._incoming = incoming
        self._sender = sender
        self._dealt: SimpleQueue[Deal | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._open: dict[int, ChunkAccount] = {}
        self._lock = threading.Lock()
        self._deal: Deal | None = None
        self._has_vector = False

    def run(self) -> None:
        """Embed what is dealt until there is no more, or the supervisor says to stop."""
        threading.Thread(target=self._receive, name="receive", daemon=True).start()
        for _ in range(CHUNKS_AHEAD):
            self._sender.send(Wanted())
        load = self._assignment.load or load_embedding
        self._embedding = load(self._assignment, self._watch, self._stopped.is_set, self._on_batch)
        self._sender.send(Ready(self._embedding.running))
        self._deal = self._dealt.get()
        while self._deal is not None and not self._stopped.is_set():
            # A suspect is finished before anything else is begun; other chunks are one stream.
            self._embedding.job.run(self._first() if self._deal.alone else self._stream())
        self._tell()
        self._sender.send(Ended())

    def _receive(self) -> None:
        try:
            with os.fdopen(self._incoming, "rb") as lines:
                for line in lines:
                    message = from_line(line)
                    if isinstance(message, Deal):
                        self._dealt.put(message)
                    elif isinstance(message, Finish):
                        self._dealt.put(None)
                    elif isinstance(message, Stop):
                        break
            self._stopped.set()
        finally:
            # After Stop, after the supervisor's end, and after an error here: the main thread must not wait for ever.
            self._dealt.put(None)

    def _first(self) -> Iterator[Chunk]:
        if self._deal is not None:
            yield self._begin(self._deal)
        self._deal = self._dealt.get()

    def _stream(self) -> Iterator[Chunk]:
        while self._deal is not None and not self._deal.alone:
            yield self._begin(self._deal)
            self._deal = self._dealt.get()

    def _begin(self, deal: Deal) -> Chunk:
        self._sender.send(Wanted())
        images = list(self._assignment.shard_file.images_of(deal))
        account = ChunkAccount(len(images), lambda account: self._acknowledge(deal.chunk, account))
        with self._lock:
            self._open[deal.chunk] = account
        if not images:
            self._acknowledge(deal.chunk, account)
        return Chunk(deal.chunk, images, account)

    def _acknowledge(self, chunk: int, account: ChunkAccount) -> None:
        with self._lock:
            del self._open[chunk]
            self._sender.send(Acknowledged(chunk, account.embedded, account.unchanged, tuple(account.failures)))

    def _on_batch(self) -> None:
        if not self._has_vector:
            self._has_vector = True
            logger.info(FIRST_VECTOR, seconds_since_start=round(seconds_since_start(self._assignment.supervisor), 3))
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            accounts = list(self._open.values())
            self._sender.send(
                Progress(
                    embedded=sum(account.embedded for account in accounts),
                    unchanged=sum(account.unchanged for account in accounts),
                    failed=sum(len(account.failures) for account in accounts),
                )
            )
        self._sender.send(self._embedding.usage())
