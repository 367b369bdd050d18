"""An embedding process as its supervisor sees it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

from stepvec_worker.processes.embedding_process import embed_chunks
from stepvec_worker.processes.image_watch import ImageWatch, InHand
from stepvec_worker.processes.messages import Message, ProcessProgress, ProcessUsage, Receiver, Sender
from stepvec_worker.processes.shard_context import LoadEmbedder, ShardContext

# Forked, not spawned: the pages of Python and boto3 are shared, and imported once (docs/decisions/0040).
_CONTEXT = multiprocessing.get_context("fork")


class EmbeddingHandle:
    """Forks the process and holds its pipes. `number` is never used for another one.

    The supervisor keeps here what it knows of it: `progress`, `usage`, whether it said that it `has_ended`, the error
    that it said it `crashed` of, and the images that it was killed for because they took too long (`overdue`).
    """

    def __init__(self, number: int, context: ShardContext, load: LoadEmbedder) -> None:
        self.number = number
        self.progress = ProcessProgress(0, 0, 0)
        self.usage: ProcessUsage | None = None
        self.has_ended = False
        self.crashed = ""
        self.overdue: list[InHand] = []
        settings = context.settings
        slots = settings.download_threads + settings.batch_size + settings.write_threads
        self.watch = ImageWatch(slots, context.decoders)
        incoming, outgoing = os.pipe(), os.pipe()
        self._process = _CONTEXT.Process(
            target=_run,
            args=(context, load, self.watch, incoming[0], outgoing[1], (incoming[1], outgoing[0])),
            name=f"embedding-{number}",
        )
        self._process.start()
        os.close(incoming[0])
        os.close(outgoing[1])
        self._sender = Sender(incoming[1])
        self._receiver = Receiver(outgoing[0])

    @property
    def pid(self) -> int:
        """Its process id, which its own log lines have too."""
        return self._process.pid or 0

    @property
    def descriptor(self) -> int:
        """Readable when there is something to `receive`."""
        return self._receiver.descriptor

    @property
    def is_gone(self) -> bool:
        """Whether its pipe is closed, as the kernel does when a process dies."""
        return self._receiver.is_closed

    def receive(self) -> list[Message]:
        """The messages that have come since."""
        return self._receiver.receive()

    def send(self, message: Message) -> None:
        """Send it a message; nothing happens when it has died, which `is_gone` tells soon."""
        try:
            self._sender.send(message)
        except BrokenPipeError:
            return

    def kill(self) -> None:
        """SIGKILL: a native decoder that hangs heeds nothing else."""
        self._process.kill()

    def end(self) -> str:
        """Wait for its end, close the pipes, and return how it ended."""
        self._process.join()
        self._sender.close()
        self._receiver.close()
        self.watch.close()
        code = self._process.exitcode or 0
        if self.crashed:
            return self.crashed
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _run(
    context: ShardContext,
    load: LoadEmbedder,
    watch: ImageWatch,
    incoming: int,
    outgoing: int,
    others: tuple[int, int],
) -> None:
    for descriptor in others:
        os.close(descriptor)
    sys.exit(embed_chunks(context, load, watch, incoming, outgoing))
