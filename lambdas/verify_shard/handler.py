"""Entry of the VerifyShard function."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.verify_shard.indexed import NO_INDEX, IndexVerdict, compare
from lambdas.verify_shard.job_failure import JobError, last_words, read_job_error
from lambdas.verify_shard.rows import read_rows
from lambdas.verify_shard.verifier import Expectation, ImageOutcome, verify
from stepvec import codec
from stepvec.adapters.clients import dynamodb_client, logs_client, s3_client, s3vectors_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.run_files import read_run_input, read_run_start
from stepvec.adapters.telemetry import logger, measure, metrics
from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.metrics import IMAGES_EMBEDDED, IMAGES_FAILED, IMAGES_MISSING, SHARDS_VERIFIED
from stepvec.rows.item import RowMetadata
from stepvec.runs.layout import RunLayout
from stepvec.runs.links import log_link
from stepvec.runs.listing import ShardImage, read_shard
from stepvec.runs.reports import ShardReport, VerifiedShard
from stepvec.runs.steps import ShardEntry, read_task_input


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    work_bucket: str
    table: str
    model: str
    worker_log_group: str
    vector_index: str = ""
    """ARN of the index of S3 Vectors; "" where there is none."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client())
index = VectorIndex(s3vectors_client(connections=8), settings.vector_index) if settings.vector_index else None


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ARG001 - the runtime passes it
    """A TaskInput with `{run, shard: ShardEntry, error?: {Error, Cause}}` -> the VerifiedShard, without its failures.

    With them it is written to verified/<n>.json.
    """
    start = time.perf_counter()
    given = read_task_input(event, model=settings.model, table=settings.table)
    entry = codec.from_document(ShardEntry, given.state["shard"], where="shard of VerifyShard")
    layout = RunLayout(settings.work_bucket, str(given.state["run"]))
    uri = layout.shard(entry.shard)
    with store.open(uri) as stream:
        images = list(read_shard(stream, where=str(uri)))
    report = store.find_record(ShardReport, layout.shard_report(entry.shard))
    table = VectorTable(dynamodb_client(connections=8), given.table)
    expected = Expectation(layout.run, given.model, _embedded_again_since(layout))
    failures = report.failures if report else ()
    rows = read_rows(table, images, {failure.image_id for failure in failures}, expected)
    compared = _compare(table, images, rows, expected)
    expected = replace(expected, not_indexed=compared.lacking)
    job_error = read_job_error(given.state["error"]) if "error" in given.state else None
    verdict = verify(images, rows, failures, expected)
    verified = VerifiedShard(
        run=layout.run,
        shard=entry.shard,
        images=len(images),
        embedded=verdict.outcomes.get(ImageOutcome.EMBEDDED, 0),
        unchanged=verdict.outcomes.get(ImageOutcome.UNCHANGED, 0),
        failed=verdict.outcomes.get(ImageOutcome.FAILED, 0),
        missing=verdict.outcomes.get(ImageOutcome.MISSING, 0),
        found=verdict.found,
        wrong=verdict.wrong,
        missing_sample=verdict.missing_sample,
        read_units=table.read_units,
        error=_explain(job_error) if job_error else "",
        seconds=round(time.perf_counter() - start, 3),
        failures=verdict.failures,
        execution=given.execution,
        log=log_link(given.execution, settings.worker_log_group, job_error.log_stream) if job_error else "",
        indexed=verdict.found - len(compared.lacking) - len(compared.not_indexable) if index else 0,
        not_indexable=len(compared.not_indexable),
    )
    store.write_record(layout.verified(entry.shard), verified)
    measure(SHARDS_VERIFIED, 1)
    measure(IMAGES_EMBEDDED, verified.embedded)
    measure(IMAGES_FAILED, verified.failed)
    measure(IMAGES_MISSING, verified.missing)
    # Without the failures: thousands of them would be over the limit of a state's output.
    counts = codec.to_document(replace(verified, failures=()))
    logger.info("verified", **counts)
    return counts


def _compare(
    table: VectorTable, images: Sequence[ShardImage], rows: Mapping[str, RowMetadata], expected: Expectation
) -> IndexVerdict:
    """What the index has of the rows that are right."""
    if index is None:
        return NO_INDEX
    etags = {image.image_id: image.etag for image in images}
    right = {name: row for name, row in rows.items() if row.is_embedding_of(etags[name], expected.model)}
    return compare(index, table, right)


def _embedded_again_since(layout: RunLayout) -> datetime | None:
    return read_run_start(store, layout) if read_run_input(store, layout).reembed else None


def _explain(job_error: JobError) -> str:
    if not job_error.log_stream:
        return job_error.with_last_words("")
    return job_error.with_last_words(last_words(logs_client(), settings.worker_log_group, job_error.log_stream))
