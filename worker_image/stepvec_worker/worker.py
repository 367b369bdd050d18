"""The worker's parts put together: the shard's file, the model, the job, the report."""

from __future__ import annotations

import json
import os
import resource
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from stepvec.adapters.clients import dynamodb_client, s3_client
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import ConfigurationError
from stepvec.item import vector_type
from stepvec.layout import RunLayout, S3Uri, parse_shard_uri
from stepvec.model import ModelIdentity
from stepvec.records.listing import read_shard
from stepvec.records.reports import ShardProgress, ShardReport, StageSeconds
from stepvec.telemetry import logger
from stepvec_worker.architectures import Embedder, load_embedder
from stepvec_worker.decoding import DecodeLimits
from stepvec_worker.fetching import ImageFetcher
from stepvec_worker.preprocessing import pixel_format, prepare
from stepvec_worker.process_age import seconds_since_start
from stepvec_worker.settings import Settings
from stepvec_worker.shard_job import ShardJob, ShardTally, ShardTask
from stepvec_worker.termination import Termination

ATTEMPT_VARIABLE: Final = "AWS_BATCH_JOB_ATTEMPT"
"""https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html"""
FIRST_VECTOR: Final = "first vector"
"""Logged once, when the first batch is embedded: how long a container takes until it is of use."""


class Worker:
    """Embeds one shard. Raises a StepvecError for what is wrong with machine, network, table or model."""

    def __init__(self, settings: Settings, device: str, termination: Termination) -> None:
        self._settings = settings
        self._device = device
        self._termination = termination
        self._started = datetime.now(UTC)
        self._start = time.perf_counter()
        self._s3 = s3_client(connections=settings.download_threads + 2)
        self._store = ObjectStore(self._s3)
        self._table = VectorTable(dynamodb_client(), settings.table, threads=1)
        self._last_progress = float("-inf")
        self._has_vector = False

    def run(self, shard_uri: str) -> bool:
        """Embed the shard at `shard_uri` and write its report. False if it was terminated before the end."""
        layout, shard = parse_shard_uri(shard_uri)
        logger.append_keys(run=layout.run, shard=shard)
        identity = ModelIdentity.parse(self._settings.model)
        uri = S3Uri.parse(shard_uri)
        with self._store.open(layout.input) as stream:
            reembed = bool(json.loads(stream.read())["Reembed"])
        with self._store.open(uri) as stream:
            images = sum(1 for _ in read_shard(stream, where=str(uri)))
            stream.seek(0)
            # Before any work: a worker that may not write its report must not spend an hour finding out.
            self._write_progress(layout, shard, images, ShardTally())
            embedder = self._load(identity)
            job = self._job(layout, shard, images, identity, embedder, reembed=reembed)
            logger.info("embedding", images=images, model=str(identity), device=self._device, running=embedder.running)
            is_done = job.run(read_shard(stream, where=str(uri)))
        if is_done:
            self._write_report(layout, shard, images, job.tally)
        return is_done

    def _load(self, identity: ModelIdentity) -> Embedder:
        embedder = load_embedder(
            Path(self._settings.model_directory),
            self._device,
            pixel_format(identity.preprocessing),
            batch_size=self._settings.batch_size,
            engine=identity.engine,
            precision=identity.precision,
        )
        carried = embedder.card.identity(identity.preprocessing, identity.engine, identity.precision)
        if carried != identity:
            raise ConfigurationError(
                f"The image carries the model {carried}, and the deployment says {identity}.",
                remedy="Deploy the pipeline again: it builds the image and sets the model's name together.",
            )
        return embedder

    def _job(
        self, layout: RunLayout, shard: int, images: int, identity: ModelIdentity, embedder: Embedder, *, reembed: bool
    ) -> ShardJob:
        settings = self._settings
        limits = DecodeLimits(bytes=settings.max_image_bytes, pixels=settings.max_image_pixels)
        fetcher = ImageFetcher(self._s3, settings.image_bucket, most_bytes=settings.max_image_bytes)
        return ShardJob(
            ShardTask(
                run=layout.run,
                shard=shard,
                model=str(identity),
                dimension=embedder.dimension,
                vector_type=vector_type(settings.vector_type),
                reembed=reembed,
                batch_size=settings.batch_size,
            ),
            self._table,
            fetch=fetcher.fetch,
            prepare=lambda data: prepare(data, limits, identity.preprocessing),
            embed=embedder.embed,
            download_threads=settings.download_threads,
            decoders=settings.decoders,
            is_stopped=lambda: self._termination.is_asked,
            on_progress=lambda tally: self._on_progress(layout, shard, images, tally),
        )

    def _on_progress(self, layout: RunLayout, shard: int, images: int, tally: ShardTally) -> None:
        if not self._has_vector and tally.embed_seconds > 0:
            self._has_vector = True
            logger.info(FIRST_VECTOR, seconds_since_start=round(seconds_since_start(), 3))
        self._write_progress(layout, shard, images, tally)

    def _write_progress(self, layout: RunLayout, shard: int, images: int, tally: ShardTally) -> None:
        now = time.perf_counter()
        if now - self._last_progress < self._settings.progress_seconds:
            return
        self._last_progress = now
        progress = ShardProgress(shard, images, tally.embedded, tally.unchanged, len(tally.failures))
        self._store.write_record(layout.progress(shard), progress)

    def _write_report(self, layout: RunLayout, shard: int, images: int, tally: ShardTally) -> None:
        report = ShardReport(
            run=layout.run,
            shard=shard,
            images=images,
            embedded=tally.embedded,
            unchanged=tally.unchanged,
            failures=tuple(tally.failures),
            model=self._settings.model,
            vector_type=self._settings.vector_type,
            attempt=int(os.environ.get(ATTEMPT_VARIABLE, "1")),
            started=self._started.isoformat(timespec="milliseconds"),
            seconds=round(time.perf_counter() - self._start, 3),
            stages=StageSeconds(
                download=round(tally.download_seconds, 3),
                decode=round(tally.decode_seconds, 3),
                embed=round(tally.embed_seconds, 3),
                write=round(tally.write_seconds, 3),
            ),
            downloaded_bytes=tally.downloaded_bytes,
            write_units=self._table.write_units,
            read_units=self._table.read_units,
            # ru_maxrss is in KiB on Linux.
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            host=socket.gethostname(),
        )
        self._store.write_record(layout.shard_report(shard), report)
        logger.info(
            "shard done",
            embedded=report.embedded,
            unchanged=report.unchanged,
            failed=len(report.failures),
            seconds=report.seconds,
            images_per_second=round(report.embedded / report.seconds, 1),
        )
