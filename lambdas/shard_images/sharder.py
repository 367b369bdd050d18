"""The sharding loop: listing files become shard files, one window of bounded size at a time.

A window is one listing file where keys are the ids: prefixes never overlap, so no key comes twice. Otherwise
(stems, manifests) a first pass distributes the lines over partitions by the hash of their id, and a window is one
partition: duplicates and conflicts always meet in one window. Memory is that of a window, whatever the run's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from lambdas.shard_images.window import Identified, balance, identify, partition_of, refuse_taken_ids, shard_count
from stepvec.adapters.object_store import ObjectStore
from stepvec.adapters.vector_index import VectorIndex
from stepvec.adapters.vector_table import VectorTable
from stepvec.errors import InvalidInputError
from stepvec.rows.indexed import lacking
from stepvec.rows.item import RowMetadata
from stepvec.runs.known_failures import KnownFailures, known_failures_uri
from stepvec.runs.layout import RunLayout, S3Uri
from stepvec.runs.listing import (
    SHARD_BYTES,
    ListedImage,
    ShardImage,
    dump_lines,
    dump_shard,
    listing_line,
    read_listing,
    read_shard,
)
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.run_input import MAX_SHARDS, RunInput
from stepvec.runs.steps import ShardEntry, ShardingCounts, ShardingCursor, ShardingState, ShardingStep

STOP_BEFORE_MILLISECONDS: Final = 180_000
"""An invocation stops when less than this is left of the function's time: one window (50,000 images) takes less."""
PARTITION_LINES: Final = 50_000
"""Lines of one partition, on average."""
PARTITION_FILES: Final = 16
"""Listing files that are distributed over partitions at a time: 800,000 lines, some 100 MB (900 MB if all keys are as
long as S3 allows). Files and requests of the first pass grow with the square of the images, divided by this: 125 a
partition for 100 million images, where one listing file at a time would make 2,000."""
FILE_THREADS: Final = 16

FAILED_BEFORE: Final = "As in an earlier run over the same paths; RetryFailures tries it again."


@dataclass(frozen=True, slots=True)
class _Decided:
    """What becomes of a window's images: to be embedded, failed at once, known to fail; and how many are stored."""

    pending: list[ShardImage]
    refused: list[ImageFailure]
    failed_before: list[ImageFailure]
    unchanged: int


class Sharder:
    """Shards one run. Every file's name follows from the state alone, so an invocation can be repeated."""

    def __init__(
        self,
        store: ObjectStore,
        table: VectorTable,
        layout: RunLayout,
        run_input: RunInput,
        model: str,
        *,
        worker: str = "",
        index: VectorIndex | None = None,
    ) -> None:
        self._store = store
        self._table = table
        self._layout = layout
        self._input = run_input
        self._model = model
        self._worker = worker
        self._index = index

    @property
    def first_cursor(self) -> ShardingCursor:
        """Where a run starts."""
        return ShardingCursor(stage="partition" if self._needs_partitions else "shard")

    def run(self, state: ShardingState, *, time_is_short: Callable[[], bool]) -> ShardingState:
        """Shard from `state.cursor` on, until done or `time_is_short()`, and return the state to go on from."""
        while not state.done:
            if state.cursor.stage == "partition":
                state = self._partition_some_files(state)
            elif state.cursor.file < self._windows(state):
                state = self._shard_one_window(state)
            else:
                state = self._finish(state)
            if time_is_short():
                break
        return state

    @property
    def _needs_partitions(self) -> bool:
        return self._input.manifest is not None or self._input.image_id != "key"

    def _partitions(self, state: ShardingState) -> int:
        return max(1, math.ceil(state.listing.listed / PARTITION_LINES))

    def _windows(self, state: ShardingState) -> int:
        return self._partitions(state) if self._needs_partitions else state.listing_files

    def _partition_some_files(self, state: ShardingState) -> ShardingState:
        first = state.cursor.file
        if first >= state.listing_files:
            return replace(state, cursor=replace(state.cursor, stage="shard", file=0))
        behind = min(first + PARTITION_FILES, state.listing_files)
        # Lines rather than records: a third of the memory.
        partitions = [bytearray() for _ in range(self._partitions(state))]
        for entry in chain.from_iterable(
            self._read_listing(self._layout.listing(file)) for file in range(first, behind)
        ):
            partitions[partition_of(entry, self._input.image_id, len(partitions))] += listing_line(entry)
        self._write_all(
            (self._layout.partition(number, first // PARTITION_FILES), dump_lines(lines))
            for number, lines in enumerate(partitions)
        )
        return replace(state, cursor=replace(state.cursor, file=behind))

    def _shard_one_window(self, state: ShardingState) -> ShardingState:
        window, step = state.cursor.file, state.cursor.steps
        read_before = self._table.read_units
        identified = identify(self._window(state, window), self._input.image_id)
        decided = self._decide(identified)
        pending = [*self._carried(step), *decided.pending]
        is_last = window + 1 == self._windows(state)
        shards, carry = self._cut(pending, is_last=is_last)
        entries = self._write_shards(shards, first=state.counts.shards)
        self._store.write(self._layout.carry(step), dump_shard(carry), content_type="application/gzip")
        self._store.write_record(
            self._layout.sharding_step(step),
            ShardingStep(
                tuple(entries),
                tuple(decided.refused),
                decided.unchanged,
                identified.duplicates,
                tuple(decided.failed_before),
                self._worker,
                self._table.read_units - read_before,
            ),
        )
        counts = state.counts
        return replace(
            state,
            cursor=replace(state.cursor, file=window + 1, steps=step + 1),
            counts=ShardingCounts(
                to_embed=counts.to_embed + sum(entry.images for entry in entries),
                unchanged=counts.unchanged + decided.unchanged,
                refused=counts.refused + len(decided.refused),
                duplicates=counts.duplicates + identified.duplicates,
                shards=counts.shards + len(entries),
                failed_before=counts.failed_before + len(decided.failed_before),
            ),
        )

    def _decide(self, identified: Identified) -> _Decided:
        images, taken, stored = self._leave_out_stored(identified.images)
        # The worker copies them from their rows: whether they could be read does not matter.
        to_index = self._not_indexed(stored)
        decided = _Decided(to_index, [*identified.refused, *taken], [], len(stored) - len(to_index))
        with self._known_failures() as known:
            for image in images:
                refusal = identified.unreadable.get(image.image_id)
                reason = known.reason(image.key, image.etag) if known and refusal is None else None
                if refusal is not None:
                    decided.refused.append(_failure(image, refusal.reason, refusal.message))
                elif reason is not None:
                    failure = _failure(image, reason, FAILED_BEFORE)
                    decided.failed_before.append(replace(failure, etag=image.etag, failed_before=True))
                else:
                    decided.pending.append(image)
        return decided

    @contextmanager
    def _known_failures(self) -> Iterator[KnownFailures | None]:
        uri = known_failures_uri(self._layout.bucket, self._input)
        if uri is None or self._input.reembed or self._input.retry_failures or not self._store.exists(uri):
            yield None
        else:
            with self._store.open(uri) as stream:
                yield KnownFailures(stream, worker=self._worker)

    def _window(self, state: ShardingState, window: int) -> Iterator[ListedImage]:
        if not self._needs_partitions:
            return self._read_listing(self._layout.listing(window))
        return self._read_partition(window, groups=math.ceil(state.listing_files / PARTITION_FILES))

    def _read_partition(self, number: int, *, groups: int) -> Iterator[ListedImage]:
        # Many small files (125 for 100 million images), a wait each: in threads. Together they are one window.
        uris = [self._layout.partition(number, group) for group in range(groups)]
        with ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="read") as pool:
            for entries in pool.map(lambda uri: list(self._read_listing(uri)), uris):
                yield from entries

    def _leave_out_stored(
        self, images: list[ShardImage]
    ) -> tuple[list[ShardImage], list[ImageFailure], list[tuple[ShardImage, RowMetadata]]]:
        """What is to be embedded, what is refused since another key has its id, and what is stored, with its rows."""
        ids_may_be_taken = self._input.image_id != "key"
        if self._input.reembed and not ids_may_be_taken:
            return images, [], []
        metadata: dict[str, RowMetadata] = {}
        # One unit spares half a unit an image of a first run.
        if not self._table.is_empty():
            # Eventually consistent, at half the price: these rows are from earlier runs.
            for batch in self._table.metadata((image.image_id for image in images), consistent=False):
                metadata.update(batch)
        free, refused = refuse_taken_ids(images, metadata) if ids_may_be_taken else (images, [])
        if self._input.reembed:
            return free, refused, []
        pending: list[ShardImage] = []
        stored: list[tuple[ShardImage, RowMetadata]] = []
        for image in free:
            row = metadata.get(image.image_id)
            if row is not None and row.is_embedding_of(image.etag, self._model):
                stored.append((image, row))
            else:
                pending.append(image)
        return pending, refused, stored

    def _not_indexed(self, stored: list[tuple[ShardImage, RowMetadata]]) -> list[ShardImage]:
        """Those of the stored images whose vector is not in the index, or is that of another row; none without one."""
        if self._index is None:
            return []
        not_there = set(lacking(self._index, {image.image_id: row for image, row in stored}))
        return [image for image, _ in stored if image.image_id in not_there]

    def _cut(self, pending: list[ShardImage], *, is_last: bool) -> tuple[list[list[ShardImage]], list[ShardImage]]:
        if not is_last and len(pending) < self._input.shard_size:
            return [], pending
        if not pending:
            return [], []
        shards = shard_count(pending, max_images=self._input.shard_size, max_bytes=SHARD_BYTES)
        return balance(pending, shards), []

    def _carried(self, step: int) -> list[ShardImage]:
        if step == 0:
            return []
        uri = self._layout.carry(step - 1)
        with self._store.open(uri) as stream:
            return list(read_shard(stream, where=str(uri)))

    def _write_shards(self, shards: list[list[ShardImage]], *, first: int) -> list[ShardEntry]:
        if first + len(shards) > MAX_SHARDS:
            raise InvalidInputError(
                f"ShardSize {self._input.shard_size} makes more than {MAX_SHARDS:,} shards.",
                remedy="Raise ShardSize, or split the run by its Paths.",
            )
        uris = [self._layout.shard(first + number) for number in range(len(shards))]
        self._write_all(zip(uris, (dump_shard(images) for images in shards), strict=True))
        return [
            ShardEntry(first + number, str(uri), len(images))
            for number, (uri, images) in enumerate(zip(uris, shards, strict=True))
        ]

    def _finish(self, state: ShardingState) -> ShardingState:
        """Write shards.json, the array that the Distributed Map reads, from the steps."""
        entries = chain.from_iterable(step.shards for step in self._steps(state.cursor.steps))
        self._store.write_record(self._layout.shards, list(entries))
        return replace(state, done=True)

    def _steps(self, count: int) -> Iterator[ShardingStep]:
        with ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="steps") as pool:
            yield from pool.map(
                lambda number: self._store.read_record(ShardingStep, self._layout.sharding_step(number)), range(count)
            )

    def _read_listing(self, uri: S3Uri) -> Iterator[ListedImage]:
        with self._store.open(uri) as stream:
            yield from read_listing(stream, where=str(uri))

    def _write_all(self, files: Iterable[tuple[S3Uri, bytes]]) -> None:
        with ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="write") as pool:
            for _ in pool.map(lambda file: self._store.write(file[0], file[1], content_type="application/gzip"), files):
                """Each result is awaited, so that an error of any file is raised here."""


def _failure(image: ShardImage, reason: FailureReason, message: str) -> ImageFailure:
    return ImageFailure(image.key, image.image_id, reason, message)
