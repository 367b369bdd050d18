"""Entry of the ListImages function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.list_images.lister import STOP_BEFORE_MILLISECONDS, list_images
from lambdas.list_images.manifest import open_manifest
from lambdas.list_images.sources import ImageSource, PrefixSource
from stepvec import codec
from stepvec.adapters.clients import s3_client
from stepvec.adapters.environment import read_environment
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.run_files import claim_run, read_run_input, write_run_input
from stepvec.adapters.telemetry import logger, measure, metrics
from stepvec.metrics import IMAGES_LISTED
from stepvec.runs.layout import RunLayout
from stepvec.runs.run_input import RunInput, parse_run_input, read_suffixes
from stepvec.runs.steps import ListingCounts, ListingCursor, ListingState


@dataclass(frozen=True, slots=True)
class Settings:
    """The function's environment."""

    image_bucket: str
    work_bucket: str
    shard_size: int
    suffixes: str = ""
    """Suffixes beside those of images, separated by commas, where an input names none."""


settings = read_environment(Settings, os.environ)
store = ObjectStore(s3_client(connections=32))


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> Any:
    """First invocation: `{run, started, input}`. Later ones: the ListingState that the one before returned.

    Raises InvalidInputError, by whose name the state machine knows that trying again does not help.
    """
    layout = RunLayout(settings.work_bucket, str(event["run"]))
    if "cursor" in event:
        state = codec.from_document(ListingState, event, where="state of ListImages")
        run_input = read_run_input(store, layout)
    else:
        run_input = parse_run_input(
            event["input"],
            image_bucket=settings.image_bucket,
            work_bucket=settings.work_bucket,
            default_shard_size=settings.shard_size,
            default_suffixes=read_suffixes(settings.suffixes),
        )
        claim_run(store, layout, str(event["started"]))
        write_run_input(store, layout, run_input)
        state = ListingState(str(event["run"]), str(event["started"]), ListingCounts(), ListingCursor(), done=False)
    after = list_images(
        state,
        _source(run_input),
        store,
        layout,
        suffixes=run_input.suffixes,
        time_is_short=lambda: context.get_remaining_time_in_millis() < STOP_BEFORE_MILLISECONDS,
    )
    measure(IMAGES_LISTED, after.counts.listed - state.counts.listed)
    logger.info("listed", run=after.run, listed=after.counts.listed, ignored=after.counts.ignored, done=after.done)
    return codec.to_document(after)


def _source(run_input: RunInput) -> ImageSource:
    if run_input.manifest is None:
        return PrefixSource(
            store,
            settings.image_bucket,
            run_input.prefixes,
            objects=run_input.objects,
            suffixes=run_input.suffixes,
        )
    return open_manifest(
        store,
        run_input.manifest,
        image_bucket=settings.image_bucket,
        buckets=(settings.image_bucket, settings.work_bucket),
    )
