"""The ShardEmbedder of the worker: the model, loaded, and the job around it. Importing this takes a while."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stepvec.adapters.clients import credentials, dynamodb_client, s3_client, s3vectors_client
from stepvec.adapters.fast_put import FastPut
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import ConfigurationError
from stepvec.rows.item import vector_type
from stepvec.rows.model import ModelIdentity
from stepvec.weights.model_directory import read_model_card
from stepvec_worker.engines import Embedder, load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.fast_get import fast_reader
from stepvec_worker.images.fetching import ImageFetcher
from stepvec_worker.images.preprocessing import pixel_format, preparation, prepare_picture
from stepvec_worker.processes.host import peak_memory_mb
from stepvec_worker.processes.messages import ProcessUsage
from stepvec_worker.processes.shard_context import Chunk, ProcessHooks, ShardContext
from stepvec_worker.processes.shard_job import ShardJob, ShardTask
from stepvec_worker.settings import Settings
from stepvec_worker.storage.index import IndexWriter
from stepvec_worker.storage.rows import put_if_newest


class ModelEmbedder:
    """Embeds with the model that the image carries. Raises a StepvecError for what is wrong with that model."""

    def __init__(self, context: ShardContext, hooks: ProcessHooks) -> None:
        settings = context.settings
        identity = ModelIdentity.parse(settings.model)
        embedder = _load(settings, identity, context.device)
        prepared = preparation(embedder.card, identity.preprocessing)
        self.running = embedder.running
        s3 = s3_client(connections=settings.download_threads + settings.write_threads)
        store = ObjectStore(s3)
        table = _table(settings)
        limits = DecodeLimits(bytes=settings.max_image_bytes, pixels=settings.max_image_pixels)
        fetcher = ImageFetcher(
            s3,
            settings.image_bucket,
            max_bytes=settings.max_image_bytes,
            fast=fast_reader(s3, settings.image_bucket),
        )
        self._table = table
        self._index = _index(settings)
        self._job = ShardJob(
            ShardTask(
                run=context.run,
                model=str(identity),
                dimension=embedder.dimension,
                vector_type=vector_type(settings.vector_type),
                reembed=context.reembed,
                batch_size=settings.batch_size,
            ),
            table,
            hooks,
            fetch=fetcher.fetch,
            prepare=lambda data: prepare_picture(data, limits, prepared),
            embed=embedder.embed,
            store=lambda row: put_if_newest(table, row, lambda key: store.version(settings.image_bucket, key)),
            download_threads=settings.download_threads,
            write_threads=settings.write_threads,
            index=None if self._index is None else IndexWriter(self._index, table.items),
        )

    def run(self, chunks: Iterable[Chunk]) -> None:
        """As ShardJob.run."""
        self._job.run(chunks)

    def usage(self) -> ProcessUsage:
        """What the process took so far."""
        totals = self._job.totals
        return ProcessUsage(
            stages=totals.stages,
            downloaded_bytes=totals.downloaded_bytes,
            write_units=self._table.write_units,
            read_units=self._table.read_units,
            peak_memory_mb=peak_memory_mb(),
            index_puts=self._index.puts if self._index else 0,
            index_bytes=self._index.put_bytes if self._index else 0,
        )


def _table(settings: Settings) -> VectorTable:
    client = dynamodb_client(settings.write_threads + 1)
    signed_with = credentials()
    put_item = None if signed_with is None else FastPut(client, signed_with).put_item
    return VectorTable(client, settings.table, put_item=put_item, threads=1)


def _index(settings: Settings) -> VectorIndex | None:
    if not settings.vector_index:
        return None
    return VectorIndex(s3vectors_client(settings.write_threads + 1), settings.vector_index, threads=1)


def _load(settings: Settings, identity: ModelIdentity, device: str) -> Embedder:
    directory = Path(settings.model_directory)
    embedder = load_embedder(
        directory,
        device,
        pixel_format(preparation(read_model_card(directory), identity.preprocessing)),
        batch_size=settings.batch_size,
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
