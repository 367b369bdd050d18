"""Entry of the ShardImages function."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.shard_images.sharder import STOP_BEFORE_MILLISECONDS, Sharder
from stepvec import codec
from stepvec.adapters.clients import dynamodb_client, s3_client, s3vectors_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.run_files import read_run_input
from stepvec.adapters.telemetry import logger, measure, metrics
from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.metrics import IMAGES_UNCHANGED, SHARDS_MADE
from stepvec.runs.layout import RunLayout
from stepvec.runs.steps import ListingState, ShardingCounts, ShardingState, read_task_input


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    work_bucket: str
    table: str
    model: str
    worker_version: str
    vector_index: str = ""
    """ARN of the index of S3 Vectors; "" where there is none."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client(connections=16))
dynamodb = dynamodb_client(connections=8)
index = VectorIndex(s3vectors_client(connections=8), settings.vector_index) if settings.vector_index else None


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> Any:
    """A TaskInput with the ListingState of ListImages at first, then with the ShardingState returned before."""
    given = read_task_input(event, model=settings.model, table=settings.table)
    layout = RunLayout(settings.work_bucket, str(given.state["run"]))
    table = VectorTable(dynamodb, given.table)
    run_input = read_run_input(store, layout)
    sharder = Sharder(store, table, layout, run_input, given.model, worker=settings.worker_version, index=index)
    state = _state(given.state, sharder, layout)
    after = sharder.run(state, time_is_short=lambda: context.get_remaining_time_in_millis() < STOP_BEFORE_MILLISECONDS)
    measure(IMAGES_UNCHANGED, after.counts.unchanged - state.counts.unchanged)
    measure(SHARDS_MADE, after.counts.shards - state.counts.shards)
    logger.info("sharded", run=after.run, counts=codec.to_document(after.counts), done=after.done)
    return codec.to_document(after)


def _state(event: Mapping[str, Any], sharder: Sharder, layout: RunLayout) -> ShardingState:
    if "shards_key" in event:
        return codec.from_document(ShardingState, event, where="state of ShardImages")
    listing = codec.from_document(ListingState, event, where="state of ListImages")
    return ShardingState(
        run=listing.run,
        started=listing.started,
        listing=listing.counts,
        listing_files=listing.cursor.files,
        counts=ShardingCounts(),
        cursor=sharder.first_cursor,
        shards_key=layout.shards.key,
        done=False,
    )
