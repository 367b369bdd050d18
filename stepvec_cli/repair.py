"""`stepvec repair`: what a run has left undone, and nothing else, as a run of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Annotated, Any, Final

import typer

from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_table import VectorTable
from stepvec.client.deployment import Deployment, RunOfDeployment
from stepvec.client.session import explained, find_deployment
from stepvec.errors import InvalidInputError
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.pacing import batches
from stepvec.runs.layout import RunLayout, S3Uri
from stepvec.runs.listing import ShardImage, read_shard
from stepvec.runs.reports import RunReport, VerifiedShard
from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.client import DataStack, PipelineStack, Run, wait_for
from stepvec_cli.console import errors

_SPOOLED_BYTES: Final = 32 * 1024 * 1024


def repair(
    run: Run,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the repair ends; exit code 1 if it fails.")] = False,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Images that may fail again; as many as the run allowed otherwise.")
    ] = None,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Do what a run that ended has left undone: its missing images, and those that failed, tried once more.

    Starts a run of just these, by a manifest in the work bucket, and prints its name. Starting the run's paths again
    does the same and more: it lists everything, so it also finds what is new or changed since, and it is the way where
    a run ended before its images were sharded. A repair lists nothing: for ten bad images of a million it takes seconds
    and costs next to nothing.
    """
    deployment = find_deployment(data_stack, pipeline_stack)
    repaired = RunOfDeployment(deployment, run)
    started = RunOfDeployment(deployment, datetime.now(UTC).strftime("repair-%Y%m%d-%H%M%S-%f"))
    with explained():
        report = _report(repaired)
        manifest = S3Uri(deployment.work_bucket, f"repairs/{started.name}.jsonl")
        store = ObjectStore(deployment.client("s3"))
        with _manifest(undone_keys(deployment, store, repaired, report)) as (stream, count):
            if not count:
                errors.print(f"The run {run} has left nothing undone.", highlight=False)
                return
            store.upload(manifest, stream)
        started.start(_input(report, manifest, max_failures))
    errors.print(f"{count:,} images of {report.listed:,}", highlight=False)
    typer.echo(started.name)
    if wait:
        wait_for(started)


def _report(run: RunOfDeployment) -> RunReport:
    ended = run.ended()
    if ended is None:
        raise InvalidInputError(
            f"The run {run.name} still goes.",
            remedy=f"Wait for its end (stepvec status {run.name}), or stop it (stepvec cancel {run.name}).",
        )
    if ended.report is None:
        raise InvalidInputError(
            f"The run {run.name} ended {ended.status} without a report, so nobody knows what it left undone.",
            remedy="Start its paths again: what is stored already costs next to nothing.",
        )
    return ended.report


def _input(report: RunReport, manifest: S3Uri, max_failures: int | None) -> dict[str, Any]:
    """The run's own input, with the manifest in the place of its paths."""
    kept = {name: value for name, value in report.input.items() if name not in ("Paths", "Manifest")}
    return {
        **kept,
        "Manifest": str(manifest),
        "MaxFailures": report.max_failures if max_failures is None else max_failures,
    }


def undone_keys(deployment: Deployment, store: ObjectStore, run: RunOfDeployment, report: RunReport) -> Iterator[str]:
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
