"""Our defaults, and the largest things we send, stay inside the services' limits."""

import json

from lambdas.shard_images.sharder import PARTITION_LINES
from stacks.config import PipelineConfig
from stepvec import codec, limits
from stepvec.adapters.dynamodb_retries import MAX_ATTEMPTS
from stepvec.adapters.figures import load_throughput
from stepvec.estimate.request_counts import TRANSITIONS_OF_A_SHARD, state_transitions
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import LISTING_FILE_LINES
from stepvec.runs.run_input import MAX_SHARD_SIZE, MAX_SHARDS
from stepvec.runs.steps import (
    SUFFIXES_COUNTED,
    ListingCounts,
    ShardEntry,
    ShardingCounts,
    ShardingCursor,
    ShardingState,
)

LONGEST_RUN = "r" * limits.EXECUTION_NAME_CHARACTERS
LARGEST = 10**12


def test_the_largest_state_is_far_below_the_payload_limit() -> None:
    # A suffix is part of a key, so it may be nearly as long as one.
    ignored = {f"{number:04}{'ü' * 500}": LARGEST for number in range(SUFFIXES_COUNTED)}
    state = ShardingState(
        run=LONGEST_RUN,
        started="2026-11-22T00:00:00.000Z",
        listing=ListingCounts(LARGEST, LARGEST, LARGEST).add(listed=0, size=0, ignored=ignored),
        listing_files=LARGEST,
        counts=ShardingCounts(LARGEST, LARGEST, LARGEST, LARGEST, LARGEST),
        cursor=ShardingCursor("partition", LARGEST, LARGEST),
        shards_key=RunLayout("b" * 63, LONGEST_RUN).shards.key,
        done=False,
    )
    # Step Functions may escape what is not ASCII.
    assert len(json.dumps(codec.to_document(state))) < limits.STATE_PAYLOAD_BYTES / 2


def test_a_job_carries_one_uri_and_nothing_that_grows() -> None:
    uri = str(RunLayout("b" * 63, "ü" * limits.EXECUTION_NAME_CHARACTERS).shard(LARGEST))
    request = json.dumps({"parameters": {"shard": uri}})
    assert len(request) < limits.CONTAINER_OVERRIDES_CHARACTERS / 4 < limits.SUBMIT_JOB_REQUEST_BYTES
    assert len(f"stepvec-shard-{LARGEST}") < limits.JOB_NAME_CHARACTERS
    assert len(uri.encode()) < limits.KEY_BYTES


def test_a_hundred_million_images_fit_one_map() -> None:
    shards = 100_000_000 // PipelineConfig().shard_size
    assert shards < MAX_SHARDS < limits.MAP_ITEMS
    # The Map's result: `{}` for a child that succeeded, `null` for one that failed, and a comma.
    assert MAX_SHARDS * len("null,") < limits.STATE_PAYLOAD_BYTES
    entry = codec.to_json(ShardEntry(shards, str(RunLayout("b" * 63, LONGEST_RUN).shard(shards)), 5000))
    # The ItemReader's largest file is believed to be 10 GB (unsourced): we stay at some MB.
    assert len(entry) * shards < 10 * 1024**2


def test_a_hundred_million_images_fit_one_execution() -> None:
    steps = load_throughput().steps
    transitions = state_transitions(100_000_000, shards=0, steps=steps)
    # A state that calls a function has six events with those of its start and its end; each may be tried again.
    assert 10 * transitions < limits.EXECUTION_HISTORY_EVENTS
    # Should every child begin or end in the same second.
    assert PipelineConfig().map_concurrency * TRANSITIONS_OF_A_SHARD < limits.STATE_TRANSITIONS_PER_SECOND
    # Whatever S3 takes as a key, DynamoDB takes as an image id.
    assert limits.KEY_BYTES <= limits.PARTITION_KEY_BYTES


def test_defaults_are_inside_the_limits() -> None:
    config = PipelineConfig()
    assert config.map_concurrency <= limits.MAP_CONCURRENCY
    assert config.shard_size <= MAX_SHARD_SIZE
    assert PipelineConfig(max_vcpus=100_000).map_concurrency == limits.MAP_CONCURRENCY
    assert max(LISTING_FILE_LINES, PARTITION_LINES) <= 100_000
    assert MAX_ATTEMPTS > 5
