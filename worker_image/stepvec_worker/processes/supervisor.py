"""Starts the embedding processes of a shard, leases its lines to them, and replaces those that die."""

from __future__ import annotations

import gc
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from stepvec import errors
from stepvec.adapters.telemetry import logger
from stepvec.errors import AccessDeniedError, ProcessLostError
from stepvec.runs.outcome import MIN_SYSTEMATIC_REFUSALS, FailureReason, ImageFailure
from stepvec.runs.reports import StageSeconds
from stepvec_worker.processes.embedding_handle import EmbeddingHandle
from stepvec_worker.processes.host import Termination, peak_memory_mb
from stepvec_worker.processes.image_watch import Work
from stepvec_worker.processes.messages import (
    Acknowledged,
    Crashed,
    Ended,
    Failed,
    Finish,
    Message,
    ProcessProgress,
    ProcessUsage,
    Ready,
    Stop,
    Uniform,
    Wanted,
)
from stepvec_worker.processes.shard_context import LoadEmbedder, ShardContext
from stepvec_worker.processes.shard_queue import MIN_CHUNK_IMAGES, FailedLine, ShardQueue

MAX_DEATHS_WITHOUT_PROGRESS: Final = 3
"""Processes that may die one after the other with no image in hand and without an outcome of any."""
MAX_CRASHES_WITHOUT_SUCCESS: Final = 20
"""Images that may end their process, twice each, before any image has another outcome."""
_CRASHES: Final = frozenset({FailureReason.DECODER_CRASHED, FailureReason.PROCESS_CRASHED})
_TICK_SECONDS: Final = 0.25


@dataclass(slots=True)
class ShardTally:
    """Outcomes so far, and the processes behind them.

    `uniform` are the lines of images of one colour: told at once, not with their chunk, so that no death of a process
    loses them, and a set, since an image may be embedded twice. `running` is what the engine really runs.
    """

    embedded: int = 0
    unchanged: int = 0
    failures: list[ImageFailure] = field(default_factory=list)
    uniform: set[int] = field(default_factory=set)
    running: str = ""
    processes: int = 0
    processes_lost: int = 0


class Supervisor:
    """Embeds the lines of one shard file by forked processes.

    It must have no threads of its own (it forks) and import neither MXNet nor numpy nor Pillow (its pages are
    shared with every process, and a crash of theirs must not be its own).
    """

    def __init__(
        self,
        context: ShardContext,
        load: LoadEmbedder,
        processes: int,
        termination: Termination,
        on_progress: Callable[[ProcessProgress], None],
    ) -> None:
        images = context.shard_file.images
        self.tally = ShardTally(processes=min(processes, -(-images // MIN_CHUNK_IMAGES)))
        self._context = context
        self._load = load
        self._termination = termination
        self._on_progress = on_progress
        self._queue = ShardQueue(context.shard_file, self.tally.processes, is_again=context.attempt > 1)
        self._living: dict[int, EmbeddingHandle] = {}
        self._usages: list[ProcessUsage] = []
        self._started = 0
        self._deaths_without_progress = 0
        self._stop_at: float | None = None
        self._error: Exception | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> bool:
        """Return True when each image has its outcome, False when terminated before; what was begun is stored.

        Raises the StepvecError that a process met, or ProcessLostError when processes keep dying.
        """
        # What exists now stays as it is in every process: the garbage collector must not write to shared pages.
        # Not collected before, which would leave holes in them: https://docs.python.org/3/library/gc.html#gc.freeze
        gc.freeze()
        try:
            for _ in range(self.tally.processes):
                self._start()
            gc.enable()
            while self._living:
                for key, _ in self._selector.select(_TICK_SECONDS):
                    self._on_readable(key.data)
                self._kill_overdue()
                self._heed_termination()
                self._on_progress(self.progress)
        finally:
            self._end_all()
            self._selector.close()
        if self._error is not None:
            raise self._error
        return self._queue.is_done

    @property
    def progress(self) -> ProcessProgress:
        """Outcomes so far, including those in chunks that are not acknowledged yet."""
        begun = [process.progress for process in self._living.values()]
        return ProcessProgress(
            embedded=self.tally.embedded + sum(progress.embedded for progress in begun),
            unchanged=self.tally.unchanged + sum(progress.unchanged for progress in begun),
            failed=len(self.tally.failures) + sum(progress.failed for progress in begun),
        )

    @property
    def usage(self) -> ProcessUsage:
        """What all processes took; `peak_memory_mb` is the sum over the supervisor and those that ran side by side."""
        usages = self._usages + [process.usage for process in self._living.values() if process.usage]
        peaks = sorted((usage.peak_memory_mb for usage in usages), reverse=True)[: self.tally.processes]
        return ProcessUsage(
            stages=StageSeconds(
                download=sum(usage.stages.download for usage in usages),
                decode=sum(usage.stages.decode for usage in usages),
                embed=sum(usage.stages.embed for usage in usages),
                write=sum(usage.stages.write for usage in usages),
            ),
            downloaded_bytes=sum(usage.downloaded_bytes for usage in usages),
            write_units=sum(usage.write_units for usage in usages),
            read_units=sum(usage.read_units for usage in usages),
            peak_memory_mb=peak_memory_mb() + sum(peaks),
            index_puts=sum(usage.index_puts for usage in usages),
            index_bytes=sum(usage.index_bytes for usage in usages),
        )

    def _start(self) -> None:
        self._started += 1
        try:
            process = EmbeddingHandle(self._started, self._context, self._load)
        except OSError as error:
            raise ProcessLostError(
                f"An embedding process cannot be started: {error.strerror}.",
                remedy="Give the job more memory, or lower STEPVEC_VCPUS.",
            ) from error
        self._living[process.number] = process
        self._selector.register(process.descriptor, selectors.EVENT_READ, process)
        self._queue.join(process.number)

    def _on_readable(self, process: EmbeddingHandle) -> None:
        for message in process.receive():
            self._handle(process, message)
        if process.is_gone:
            self._reap(process)

    def _handle(self, process: EmbeddingHandle, message: Message) -> None:
        match message:
            case Wanted():
                if self._stop_at is None:
                    process.send(self._queue.lease(process.number) or Finish())
            case ProcessProgress():
                if message != process.progress:
                    self._deaths_without_progress = 0
                process.progress = message
            case Acknowledged():
                self._queue.acknowledge(process.number, message.chunk)
                self._add(message)
            case Uniform():
                (self.tally.uniform.add if message.counts else self.tally.uniform.discard)(message.line)
            case ProcessUsage():
                process.usage = message
            case Ready():
                self.tally.running = message.running
            case Failed():
                self._fail(_error_of(message))
            case Crashed():
                process.crashed = message.message
            case Ended():
                process.has_ended = True
            case _:
                raise AssertionError(f"an embedding process sent {message}")

    def _add(self, chunk: Acknowledged) -> None:
        self._deaths_without_progress = 0
        self.tally.embedded += chunk.embedded
        self.tally.unchanged += chunk.unchanged
        self.tally.failures.extend(chunk.failures)
        if chunk.failures:
            self._check_refusals()

    def _reap(self, process: EmbeddingHandle) -> None:
        in_hand = process.overdue or process.watch.in_hand()
        self._selector.unregister(process.descriptor)
        how = process.end()
        del self._living[process.number]
        if process.usage is not None:
            self._usages.append(process.usage)
        if self._stop_at is not None:
            return
        if process.has_ended:
            self._queue.leave(process.number)
            return
        self.tally.processes_lost += 1
        failed = self._queue.lose(process.number, in_hand)
        keys = [self._context.shard_file.image(image.line).key for image in in_hand]
        logger.warning("an embedding process died", embedding_process=process.pid, how=how, in_hand=keys)
        # With images in hand it goes on: they are tried alone, and succeed or fail.
        self._deaths_without_progress = 0 if in_hand else self._deaths_without_progress + 1
        self.tally.failures.extend(self._failure(line, how, is_overdue=bool(process.overdue)) for line in failed)
        self._check_crashes()
        if self._deaths_without_progress >= MAX_DEATHS_WITHOUT_PROGRESS:
            self._fail(
                ProcessLostError(
                    f"{self._deaths_without_progress} embedding processes died one after the other, the last of {how}.",
                    remedy="SIGKILL mostly means lack of memory: give the job more, or lower STEPVEC_VCPUS.",
                )
            )
        elif self._queue.has_work:
            self._start()

    def _failure(self, line: FailedLine, how: str, *, is_overdue: bool) -> ImageFailure:
        image = self._context.shard_file.image(line.line)
        if is_overdue:
            reason = FailureReason.TIMED_OUT
            message = f"Its decoding took longer than {self._context.settings.decode_seconds:g} s, twice."
        else:
            is_decoder = line.work is Work.DECODING
            reason = FailureReason.DECODER_CRASHED if is_decoder else FailureReason.PROCESS_CRASHED
            message = f"{line.work.name.capitalize()} it ended a process, twice ({how})."
        return ImageFailure(image.key, image.image_id, reason, message)

    def _check_crashes(self) -> None:
        """Images that end processes are hardly to blame where no image does anything else."""
        crashed = [failure for failure in self.tally.failures if failure.reason in _CRASHES]
        others = self.progress.embedded + self.progress.failed - len(crashed)
        if len(crashed) >= MAX_CRASHES_WITHOUT_SUCCESS and not others:
            self._fail(
                ProcessLostError(
                    f"Each of the first {len(crashed)} images ended its process. {crashed[-1].message}",
                    remedy="SIGKILL mostly means lack of memory: give the job more, or lower STEPVEC_VCPUS.",
                )
            )

    def _check_refusals(self) -> None:
        """Images that S3 refuses are hardly to blame where it refuses each of the first hundred."""
        refused = [failure for failure in self.tally.failures if failure.reason is FailureReason.UNREADABLE]
        others = self.tally.embedded + len(self.tally.failures) - len(refused)
        if len(refused) >= MIN_SYSTEMATIC_REFUSALS and not others and not self.usage.downloaded_bytes:
            self._fail(
                AccessDeniedError(
                    f"S3 refuses each of the first {len(refused)} images. {refused[-1].message}",
                    remedy="Make the images readable for the job's role, or leave those out that nobody can read.",
                )
            )

    def _kill_overdue(self) -> None:
        limit = self._context.settings.decode_seconds
        for process in self._living.values():
            if not process.overdue:
                process.overdue = process.watch.overdue(limit)
                if process.overdue:
                    process.kill()

    def _heed_termination(self) -> None:
        if self._termination.is_asked and self._stop_at is None:
            self._stop_all()
        if self._stop_at is not None and time.monotonic() > self._stop_at:
            for process in self._living.values():
                process.kill()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._stop_all()

    def _stop_all(self) -> None:
        """Have each process store what it has in hand, for as long as the host waits for us."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._context.settings.stop_seconds
            for process in self._living.values():
                process.send(Stop())

    def _end_all(self) -> None:
        for process in self._living.values():
            process.kill()
        for process in self._living.values():
            process.end()
        self._living.clear()


def _error_of(message: Failed) -> Exception:
    kind = getattr(errors, message.kind, None) if message.kind else None
    if isinstance(kind, type) and issubclass(kind, errors.StepvecError):
        return kind(message.message, remedy=message.remedy)
    return RuntimeError(message.message)
