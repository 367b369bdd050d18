"""What a run has left undone, and nothing else, as a run of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_table import VectorTable
from stepvec.client.deployment import Deployment
from stepvec.client.runs import Run
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.pacing import batches
from stepvec.runs.layout import REPAIRS, RunLayout, S3Uri
from stepvec.runs.listing import ShardImage, read_shard
from stepvec.runs.reports import RunReport, VerifiedShard

_SPOOLED_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair that was started: its run, and how many images of how many that is."""

    run: Run
    images: int
    listed: int


def start_repair(deployment: Deployment, name: str, *, max_failures: int | None = None) -> Repair | None:
    """Start a run of what the run `name` has left undone, by a manifest in the work bucket; None if that is nothing.

    `max_failures` images may fail again, or as many as the run allowed. Raises InvalidInputError while the run is
    still going, and where it left no report.
    """
    repaired = Run(deployment, name)
    started = Run(deployment, datetime.now(UTC).strftime("repair-%Y%m%d-%H%M%S-%f"))
    report = repaired.report()
    manifest = S3Uri(deployment.work_bucket, f"{REPAIRS}{started.name}.jsonl")
    store = ObjectStore(deployment.client("s3"))
    with _manifest(undone_keys(deployment, store, repaired, report)) as (stream, count):
        if not count:
            return None
        store.upload(manifest, stream)
    started.start(_input(report, manifest, max_failures))
    return Repair(started, count, report.listed)


def _input(report: RunReport, manifest: S3Uri, max_failures: int | None) -> dict[str, Any]:
    """The run's own input, with the manifest in the place of its paths."""
    kept = {name: value for name, value in report.input.items() if name not in ("Paths", "Manifest")}
    return {
        **kept,
        "Manifest": str(manifest),
        "MaxFailures": report.max_failures if max_failures is None else max_failures,
    }


def undone_keys(deployment: Deployment, store: ObjectStore, run: Run, report: RunReport) -> Iterator[str]:
    """The keys of the images that failed, and of those that no row and no failure accounts for."""
    with store.open(run.layout.failures) as stream:
        failed = {json.loads(line)["key"] for line in stream if line.strip()}
    yield from failed
    if not report.missing:
        return
    table = VectorTable(deployment.client("dynamodb"), deployment.table)
    reembed = bool(report.input.get("Reembed"))
    for shard in _shards_with_missing(store, run.layout, report.shards):
        with store.open(run.layout.shard(shard)) as stream:
            images = read_shard(stream, where=str(run.layout.shard(shard)))
            for chunk in batches((image for image in images if image.key not in failed), BATCH_GET_ITEMS):
                yield from _missing_keys(chunk, table, report, reembed=reembed)


def _shards_with_missing(store: ObjectStore, layout: RunLayout, shards: int) -> Iterator[int]:
    for shard in range(shards):
        verified = store.find_record(VerifiedShard, layout.verified(shard))
        # A shard that was never verified is one whose every image may be missing.
        if verified is None or verified.missing:
            yield shard


def _missing_keys(images: list[ShardImage], table: VectorTable, report: RunReport, *, reembed: bool) -> Iterator[str]:
    (metadata,) = table.metadata((image.image_id for image in images), consistent=True)
    for image in images:
        row = metadata.get(image.image_id)
        is_there = row is not None and row.is_embedding_of(image.etag, report.model)
        if not is_there or (reembed and row is not None and row.run != report.run):
            yield image.key


@contextmanager
def _manifest(keys: Iterator[str]) -> Iterator[tuple[IO[bytes], int]]:
    """The keys as a manifest: JSON strings, a line each, and their number.

    Without size and ETag: ListImages looks them up, so that an image that was overwritten is embedded as it is now.
    """
    with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as spool:
        count = 0
        for count, key in enumerate(keys, 1):  # noqa: B007 - the last one is the number of keys
            spool.write(json.dumps(key).encode() + b"\n")
        spool.seek(0)
        yield spool, count
