"""Reads the files of a run's shards in threads, and writes failures.jsonl and report.json."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO, Final

from lambdas.verify_run.cost import Pipeline, RunTimes, cost_of_run, plan_of
from lambdas.verify_run.record_sorter import RecordSorter
from lambdas.verify_run.tally import Tally
from stepvec import codec
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.run_files import read_run_input
from stepvec.runs.known_failures import dump_known, known_failures_uri, record_of
from stepvec.runs.layout import RunLayout, S3Uri
from stepvec.runs.links import execution_link
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import RunReport, ShardReport, VerifiedShard
from stepvec.runs.run_input import RunInput
from stepvec.runs.steps import ShardEntry, ShardingState, ShardingStep

READ_THREADS: Final = 32


def verify_run(
    store: ObjectStore, layout: RunLayout, state: ShardingState, pipeline: Pipeline, *, execution: str = ""
) -> RunReport:
    """Add up the run of the ARN `execution`, write its failures and its report, and return the report."""
    run_input = read_run_input(store, layout)
    with store.open(layout.shards) as stream:
        entries = codec.from_json(list[ShardEntry], stream.read(), where=str(layout.shards))
    tally = Tally(has_index=pipeline.has_index)
    known, worker = RecordSorter(), ""
    with tempfile.TemporaryFile() as failures, ThreadPoolExecutor(READ_THREADS) as pool:
        steps = pool.map(
            lambda number: store.read_record(ShardingStep, layout.sharding_step(number)), range(state.cursor.steps)
        )
        for step in steps:
            worker = step.worker
            tally.add_sharding(step)
            _append(failures, step.refused, known)
            _append(failures, step.failed_before, known)
        for entry, verified, report in pool.map(lambda entry: _shard_files(store, layout, entry), entries):
            tally.add_shard(entry, verified, report)
            if verified is not None:
                _append(failures, verified.failures, known)
        failures.seek(0)
        store.upload(layout.failures, failures)
    tally.record_unaccounted(state.listing.listed)
    sharded = store.version(layout.shards.bucket, layout.shards.key)
    run_report = _report(
        layout, state, tally, pipeline, run_input, execution, sharded=sharded.modified if sharded else None
    )
    store.write_record(layout.report, run_report)
    _remember(store, known_failures_uri(layout.bucket, run_input), known, worker)
    return run_report


def _remember(store: ObjectStore, uri: S3Uri | None, known: RecordSorter, worker: str) -> None:
    """Write what later runs over the same paths need not try again; no file where there never was anything."""
    if uri is None or (not known.count and not store.exists(uri)):
        return
    with tempfile.TemporaryFile() as stream:
        stream.writelines(dump_known(known.sorted(), worker=worker))
        stream.seek(0)
        store.upload(uri, stream)


def _shard_files(
    store: ObjectStore, layout: RunLayout, entry: ShardEntry
) -> tuple[ShardEntry, VerifiedShard | None, ShardReport | None]:
    return (
        entry,
        store.find_record(VerifiedShard, layout.verified(entry.shard)),
        store.find_record(ShardReport, layout.shard_report(entry.shard)),
    )


def _append(stream: IO[bytes], failures: Iterable[ImageFailure], known: RecordSorter) -> None:
    for failure in failures:
        if record := record_of(failure):
            known.add(record)
        stream.write(codec.to_json(failure).encode("utf-8", "surrogatepass") + b"\n")


def _report(
    layout: RunLayout,
    state: ShardingState,
    tally: Tally,
    pipeline: Pipeline,
    run_input: RunInput,
    execution: str,
    *,
    sharded: datetime | None,
) -> RunReport:
    started, finished = datetime.fromisoformat(state.started), datetime.now(UTC)
    seconds = (finished - started).total_seconds()
    times = RunTimes(started=started, sharded=sharded or finished, finished=finished)
    expected = plan_of(tally.to_embed, state.listing, run_input, pipeline)
    return RunReport(
        run=layout.run,
        complete=tally.is_complete(run_input.max_failures),
        message=tally.message(run_input.max_failures, state.listing),
        listed=tally.listed,
        embedded=tally.embedded,
        unchanged=tally.unchanged,
        failed=tally.failed,
        missing=tally.missing,
        found=tally.found,
        wrong=tally.wrong,
        duplicates=tally.duplicates,
        ignored=state.listing.ignored,
        ignored_by_suffix=state.listing.ignored_by_suffix,
        failed_by_reason=dict(sorted(tally.failed_by_reason.items())),
        max_failures=run_input.max_failures,
        missing_sample=tuple(tally.missing_sample),
        shards=tally.shards,
        shards_failed=tally.shards_failed,
        shard_errors=tally.shard_errors,
        model=pipeline.model,
        vector_type=pipeline.vector_type,
        image_bucket=pipeline.image_bucket,
        table=pipeline.table,
        started=started.isoformat(timespec="milliseconds"),
        finished=finished.isoformat(timespec="milliseconds"),
        seconds=round(seconds, 3),
        images_per_second=round(tally.embedded / seconds, 2) if seconds > 0 else 0.0,
        stages={name: round(value, 3) for name, value in tally.stages.items()},
        bytes=state.listing.bytes,
        cost=cost_of_run(tally, state.listing, run_input, pipeline, times),
        input=run_input.to_document(),
        planned=expected,
        incomplete_shards=tuple(
            shard if shard.execution else replace(shard, execution=execution_link(execution))
            for shard in tally.incomplete_shards
        ),
        failed_before=tally.failed_before,
        failed_before_by_reason=dict(sorted(tally.failed_before_by_reason.items())),
        uniform=tally.uniform,
        uniform_sample=tuple(tally.uniform_sample),
        indexed=tally.indexed if pipeline.has_index else None,
        not_indexable=tally.not_indexable,
    )
