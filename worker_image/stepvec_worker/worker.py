"""The worker put together: the shard's file, the processes that embed it, the report."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import Final

from stepvec.adapters.clients import s3_client
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.run_files import read_run_input
from stepvec.adapters.telemetry import logger
from stepvec.errors import StorageError
from stepvec.runs.layout import RunLayout, S3Uri, parse_shard_uri
from stepvec.runs.reports import UNIFORM_NAMED, ShardProgress, ShardReport, StageSeconds
from stepvec_worker.processes.host import Termination, vcpus
from stepvec_worker.processes.messages import ProcessProgress
from stepvec_worker.processes.shard_context import ProcessHooks, ShardContext, ShardEmbedder
from stepvec_worker.processes.supervisor import Supervisor
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import ShardFile, open_shard

ATTEMPT_VARIABLE: Final = "AWS_BATCH_JOB_ATTEMPT"
"""https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html"""


def load_model(context: ShardContext, hooks: ProcessHooks) -> ShardEmbedder:
    """The worker's own ShardEmbedder, made in the forked process. Takes seconds."""
    # Imported here and not above: MXNet, numpy and Pillow are for forked processes alone.
    from stepvec_worker.processes.model_embedder import ModelEmbedder

    return ModelEmbedder(context, hooks)


class Worker:
    """Embeds one shard. Raises a StepvecError for what is wrong with machine, network, table or model."""

    def __init__(self, settings: Settings, device: str, termination: Termination) -> None:
        self._settings = settings
        self._device = device
        self._termination = termination
        self._started = datetime.now(UTC)
        self._start = time.perf_counter()
        self._store = ObjectStore(s3_client(connections=1))
        self._last_progress = time.perf_counter()
        self._attempt = int(os.environ.get(ATTEMPT_VARIABLE, "1"))

    def run(self, shard_uri: str) -> bool:
        """Embed the shard at `shard_uri` and write its report. False if it was terminated before the end."""
        layout, shard = parse_shard_uri(shard_uri)
        logger.append_keys(run=layout.run, shard=shard)
        uri = S3Uri.parse(shard_uri)
        reembed = read_run_input(self._store, layout).reembed
        with self._store.open(uri) as stream, open_shard(stream, str(uri)) as shard_file:
            images = shard_file.images
            # Before any work: a worker that may not write its report must not spend an hour finding out.
            self._write_progress(layout, shard, images, ProcessProgress(0, 0, 0))
            available = vcpus(self._settings.vcpus)
            # One process has the GPU; the other vCPUs decode for it.
            processes, decoders = (1, available) if self._device == "gpu" else (available, 1)
            context = ShardContext(
                settings=self._settings,
                device=self._device,
                run=layout.run,
                shard=shard,
                reembed=reembed,
                shard_file=shard_file,
                decoders=decoders,
                supervisor=os.getpid(),
                attempt=self._attempt,
            )
            supervisor = Supervisor(
                context,
                load_model,
                processes,
                self._termination,
                lambda progress: self._on_progress(layout, shard, images, progress),
            )
            logger.info(
                "embedding",
                images=images,
                model=self._settings.model,
                device=self._device,
                processes=supervisor.tally.processes,
            )
            is_done = supervisor.run()
            self._write_progress(layout, shard, images, supervisor.progress)
            if is_done:
                self._write_report(layout, shard, shard_file, supervisor)
        return is_done

    def _on_progress(self, layout: RunLayout, shard: int, images: int, progress: ProcessProgress) -> None:
        now = time.perf_counter()
        if now - self._last_progress < self._settings.progress_seconds:
            return
        self._last_progress = now
        try:
            self._write_progress(layout, shard, images, progress)
        except StorageError as error:
            # No image depends on it, and the next one says the same.
            logger.warning("progress was not written", error=str(error))

    def _write_progress(self, layout: RunLayout, shard: int, images: int, progress: ProcessProgress) -> None:
        record = ShardProgress(shard, images, progress.embedded, progress.unchanged, progress.failed)
        self._store.write_record(layout.progress(shard), record)

    def _write_report(self, layout: RunLayout, shard: int, shard_file: ShardFile, supervisor: Supervisor) -> None:
        tally, usage = supervisor.tally, supervisor.usage
        named = tuple(shard_file.image(line).key for line in sorted(tally.uniform)[:UNIFORM_NAMED])
        report = ShardReport(
            run=layout.run,
            shard=shard,
            images=shard_file.images,
            embedded=tally.embedded,
            unchanged=tally.unchanged,
            failures=tuple(tally.failures),
            model=self._settings.model,
            vector_type=self._settings.vector_type,
            attempt=self._attempt,
            started=self._started.isoformat(timespec="milliseconds"),
            seconds=round(time.perf_counter() - self._start, 3),
            stages=StageSeconds(
                download=round(usage.stages.download, 3),
                decode=round(usage.stages.decode, 3),
                embed=round(usage.stages.embed, 3),
                write=round(usage.stages.write, 3),
            ),
            downloaded_bytes=usage.downloaded_bytes,
            write_units=usage.write_units,
            read_units=usage.read_units,
            peak_memory_mb=usage.peak_memory_mb,
            host=socket.gethostname(),
            running=tally.running,
            processes=tally.processes,
            processes_lost=tally.processes_lost,
            uniform=len(tally.uniform),
            uniform_sample=named,
            index_puts=usage.index_puts,
            index_bytes=usage.index_bytes,
        )
        self._store.write_record(layout.shard_report(shard), report)
        logger.info(
            "shard done",
            embedded=report.embedded,
            unchanged=report.unchanged,
            failed=len(report.failures),
            seconds=report.seconds,
            images_per_second=round(report.embedded / report.seconds, 1),
            running=report.running,
        )
