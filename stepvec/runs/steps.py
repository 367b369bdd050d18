"""State between the steps of the execution: `{run, counts, cursor}` and S3 URIs, never lists (256 KiB limit)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from stepvec.runs.outcome import ImageFailure

SUFFIXES_COUNTED: Final = 50
"""Distinct suffixes of ignored objects that are counted by name, so that the state stays small."""
SUFFIX_CHARACTERS: Final = 16
"""A longer suffix is cut: a key of 1,024 bytes may be nearly all suffix."""
OTHER_SUFFIXES: Final = "(other)"
IGNORED_NAMED: Final = 5
"""Suffixes of ignored objects that a sentence names."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """When the execution began whose files these are (started.json), ISO 8601 as Step Functions says it."""

    started: str


@dataclass(frozen=True, slots=True)
class TaskInput:
    """What the state machine passes to a function: the state, and what its own version of the pipeline works with.

    A run keeps its definition, and so model, table and type, when another version is deployed meanwhile. execution:
    the ARN of the execution, or of the Map's child; "" if unknown.
    """

    state: Mapping[str, Any]
    model: str
    table: str
    vector_type: str
    execution: str = ""


def read_task_input(event: Mapping[str, Any], *, model: str, table: str, vector_type: str = "") -> TaskInput:
    """The TaskInput in `event`. A definition of an older version passes the state alone: what is given here counts."""
    if "state" not in event:
        return TaskInput(event, model, table, vector_type)
    return TaskInput(
        event["state"], str(event["model"]), str(event["table"]), str(event["vector_type"]), str(event["execution"])
    )


@dataclass(frozen=True, slots=True)
class ListingCounts:
    """What the listing has found so far."""

    listed: int = 0
    bytes: int = 0
    ignored: int = 0
    ignored_by_suffix: Mapping[str, int] = field(default_factory=dict)

    def add(self, *, listed: int, size: int, ignored: Mapping[str, int]) -> ListingCounts:
        """These counts with those of one page added."""
        by_suffix = dict(self.ignored_by_suffix)
        for suffix, count in ignored.items():
            name = suffix[:SUFFIX_CHARACTERS]
            known = name if name in by_suffix or len(by_suffix) < SUFFIXES_COUNTED else OTHER_SUFFIXES
            by_suffix[known] = by_suffix.get(known, 0) + count
        return replace(
            self,
            listed=self.listed + listed,
            bytes=self.bytes + size,
            ignored=self.ignored + sum(ignored.values()),
            ignored_by_suffix=by_suffix,
        )


def summary_of_ignored(by_suffix: Mapping[str, int]) -> str:
    """The most frequent suffixes of ignored objects, as in `txt 3, csv 2`."""
    most = sorted(by_suffix.items(), key=lambda item: (-item[1], item[0]))
    more = ["..."] if len(most) > IGNORED_NAMED else []
    return ", ".join([*(f"{suffix} {count}" for suffix, count in most[:IGNORED_NAMED]), *more])


@dataclass(frozen=True, slots=True)
class ListingCursor:
    """Where the listing goes on.

    `source` counts prefixes, or files of an inventory; `after` is the last key listed under that prefix, or the
    number of lines read of that file; `found` is not 0 once it has given an image (a manifest: a key); `files` counts
    the listing files written.
    """

    source: int = 0
    after: str = ""
    found: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class ListingState:
    """Output of ListImages, and its input in the next invocation."""

    run: str
    started: str
    counts: ListingCounts
    cursor: ListingCursor
    done: bool


@dataclass(frozen=True, slots=True)
class ShardingCounts:
    """What the sharding has decided so far. listed = to_embed + unchanged + refused + failed_before + duplicates."""

    to_embed: int = 0
    unchanged: int = 0
    refused: int = 0
    duplicates: int = 0
    shards: int = 0
    failed_before: int = 0


@dataclass(frozen=True, slots=True)
class ShardingCursor:
    """Where the sharding goes on: the pass, the next file of it, and the steps written so far."""

    stage: Literal["partition", "shard"] = "shard"
    file: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class ShardingState:
    """Output of ShardImages, and its input in the next invocation."""

    run: str
    started: str
    listing: ListingCounts
    listing_files: int
    counts: ShardingCounts
    cursor: ShardingCursor
    shards_key: str
    done: bool


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """An element of shards.json, and the input of a child execution."""

    shard: int
    uri: str
    images: int


@dataclass(frozen=True, slots=True)
class ShardingStep:
    """What one window of images became (sharding/<step>.json)."""

    shards: tuple[ShardEntry, ...]
    refused: tuple[ImageFailure, ...]
    unchanged: int
    duplicates: int
    failed_before: tuple[ImageFailure, ...] = ()
    worker: str = ""
    """Version of the worker that gets the shards: a run that is going on keeps the one that it was started with."""
    read_units: float | None = None
    """What DynamoDB charged for looking up the window's rows; None in a step of an older version."""
