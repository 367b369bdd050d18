"""What is done with a shard, the same for both ways of dealing: by the real network, or by a stand-in without one.

Both leave what the worker leaves: rows, progress and a shard report. The real VerifyShard and VerifyRun judge them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from stepvec_worker.processes.image_watch import ImageWatch
from stepvec_worker.processes.shard_context import Chunk, ChunkTally, ProcessHooks, ShardContext
from stepvec_worker.settings import Settings
from stepvec_worker.storage.shard_file import ShardFile, open_shard

from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_table import VectorTable
from stepvec.rows.item import VectorItem, vector_type
from stepvec.rows.model import ModelIdentity
from stepvec.runs.layout import RunLayout, S3Uri, parse_shard_uri
from stepvec.runs.listing import ShardImage
from stepvec.runs.reports import ShardProgress, ShardReport, StageSeconds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ONE: Final = b"\x00\x00\x80\x3f"
"""1.0 as float32."""


class ShardWork(Protocol):
    """Stores the rows of a shard's images."""

    def embed(self, images: Sequence[ShardImage]) -> None:
        """Return when all rows are stored. Raises StorageError."""
        ...


class StandIn:
    """Stores a row of ones for each image without looking at it: what a run takes then is the dealing."""

    def __init__(self, settings: Settings, run: str, dynamodb: DynamoDBClient) -> None:
        self._settings = settings
        self._run = run
        self._dimension = ModelIdentity.parse(settings.model).dimension
        self._table = VectorTable(dynamodb, settings.table, threads=1)

    def embed(self, images: Sequence[ShardImage]) -> None:
        """As ShardWork.embed."""
        for image in images:
            now = datetime.now(UTC)
            self._table.put(
                VectorItem(
                    image_id=image.image_id,
                    vector=_ONE * self._dimension,
                    data_type="float32",
                    dimension=self._dimension,
                    created=now,
                    key=image.key,
                    etag=image.etag,
                    model=self._settings.model,
                    run=self._run,
                    modified=now,
                )
            )


class Network:
    """The worker's ModelEmbedder, loaded once and kept for all shards of a run.

    In this process, without the supervisor that guards it in the worker: what that would cost here is not measured.
    """

    def __init__(self, settings: Settings, run: str, shard_file: ShardFile) -> None:
        # Imported here: the stand-in starts without MXNet and numpy.
        from stepvec_worker.processes.model_embedder import ModelEmbedder

        context = ShardContext(
            settings, "cpu", run, shard=0, reembed=False, shard_file=shard_file, decoders=1, supervisor=os.getpid()
        )
        slots = settings.download_threads + settings.write_threads + settings.batch_size
        self._embedder = ModelEmbedder(context, ProcessHooks(ImageWatch(slots, decoders=1)))
        self._chunks = 0

    def embed(self, images: Sequence[ShardImage]) -> None:
        """As ShardWork.embed. Raises RuntimeError for an image that fails: here all are whole."""
        self._chunks += 1
        tally = ChunkTally(len(images), lambda _: None)
        self._embedder.run([Chunk(self._chunks, list(enumerate(images)), tally)])
        if tally.failures:
            raise RuntimeError(f"{len(tally.failures)} images failed: {tally.failures[0].message}")


def work_on(store: ObjectStore, settings: Settings, uri: str, work: ShardWork) -> None:
    """Embed the shard at `uri` and write its report, as `Worker.run` does."""
    started, start = datetime.now(UTC), time.perf_counter()
    layout, shard = parse_shard_uri(uri)
    parsed = S3Uri.parse(uri)
    with store.open(parsed) as stream, open_shard(stream, uri) as shard_file:
        images = [image for _, image in shard_file.images_of(shard_file.lease(0, 0, shard_file.images))]
    store.write_record(layout.progress(shard), ShardProgress(shard, len(images), 0, 0, 0))
    work.embed(images)
    store.write_record(layout.shard_report(shard), _report(layout, shard, settings, len(images), started, start))


def _report(
    layout: RunLayout, shard: int, settings: Settings, images: int, started: datetime, start: float
) -> ShardReport:
    return ShardReport(
        run=layout.run,
        shard=shard,
        images=images,
        embedded=images,
        unchanged=0,
        failures=(),
        model=settings.model,
        vector_type=vector_type(settings.vector_type),
        attempt=1,
        started=started.isoformat(timespec="milliseconds"),
        seconds=round(time.perf_counter() - start, 3),
        stages=StageSeconds(0.0, 0.0, 0.0, 0.0),
        downloaded_bytes=0,
        write_units=0.0,
        read_units=0.0,
        peak_memory_mb=0,
        host=socket.gethostname(),
    )
