"""Sharding: each listed image ends in exactly one shard, or unchanged, or refused by name; ids are never shared."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambdas.shard_images import sharder as sharder_module
from lambdas.shard_images.sharder import Sharder
from stepvec import codec
from stepvec.limits import STATE_PAYLOAD_BYTES
from stepvec.rows.item import RowMetadata
from stepvec.runs.images import ImageIdScheme, image_id
from stepvec.runs.known_failures import dump_known, known_failures_uri, record_of
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, ShardImage, dump_listing, read_shard
from stepvec.runs.outcome import FailureReason, ImageFailure, Refusal
from stepvec.runs.run_input import parse_run_input
from stepvec.runs.steps import ListingCounts, ShardingCounts, ShardingState
from tests.fakes import LAYOUT, MODEL, MemoryStore, MemoryTable
from tests.properties.strategies import IMAGE_KEYS, ODD_IMAGE_KEYS, PROPERTY, listed

Stored = Literal["nothing", "same", "older object", "other model", "other key", "sample's"]


ARCHIVED = Refusal(FailureReason.ARCHIVED, "restore it")


@dataclass(frozen=True)
class Case:
    """A run: listing files, what the table holds for each id, and the input's options."""

    files: list[list[ListedImage]]
    stored: dict[str, Stored]
    scheme: ImageIdScheme
    by_manifest: bool
    reembed: bool
    shard_size: int
    partition_files: int
    in_rounds: bool
    archived: frozenset[str]
    """Keys that the listing found to be archived."""
    known: frozenset[str]
    """Keys that failed before, with the ETag that they have."""
    is_new_worker: bool
    retry_failures: bool

    @property
    def distinct(self) -> dict[str, ListedImage]:
        """By key; of lines that name one key again, the first counts."""
        return {image.key: image for image in reversed([*chain.from_iterable(self.files)])}

    def row(self, identity: str) -> RowMetadata | None:
        """The row that the table holds under that id. Where keys share it, it is the row of the first."""
        key = next(key for key in self.distinct if image_id(key, self.scheme) == identity)
        row = RowMetadata(identity, key, self.distinct[key].etag, MODEL, "before")
        return {
            "nothing": None,
            "same": row,
            "older object": replace(row, etag="older"),
            "other model": replace(row, model="another"),
            "other key": replace(row, key="elsewhere/image.jpg"),
            "sample's": RowMetadata(identity, "", "", "", ""),
        }[self.stored.get(identity, "nothing")]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    by_manifest = draw(st.booleans())
    scheme: ImageIdScheme = draw(st.sampled_from(["key", "stem"]))
    keys = draw(st.lists(IMAGE_KEYS | ODD_IMAGE_KEYS, unique=not by_manifest, max_size=30))
    archived = draw(st.frozensets(st.sampled_from(sorted(set(keys))), max_size=3)) if keys else frozenset()
    known = draw(st.frozensets(st.sampled_from(sorted(set(keys))))) if keys else frozenset()
    images = [
        replace(listed(key, draw(st.integers(0, 100))), refused=ARCHIVED if key in archived else None) for key in keys
    ]
    cuts = sorted(draw(st.lists(st.integers(0, len(images)), max_size=4)))
    files = [images[start:end] for start, end in zip([0, *cuts], [*cuts, len(images)], strict=True)]
    kinds: tuple[Stored, ...] = ("nothing", "same", "older object", "other model", "sample's")
    identities = sorted({image_id(key, scheme) for key in keys})
    # Under the scheme "key" a row's id is its key: no other key's row can be there.
    kinds += ("other key",) if scheme == "stem" else ()
    stored = {identity: draw(st.sampled_from(kinds)) for identity in identities}
    numbers = draw(st.tuples(st.integers(1, 7), st.integers(1, 3)))
    flags = [draw(st.booleans()) for _ in range(3)]
    reembed, is_new_worker, retry = draw(st.sampled_from([(False, False, False)] * 3 + [tuple(flags)]))
    in_rounds = draw(st.booleans())
    return Case(files, stored, scheme, by_manifest, reembed, *numbers, in_rounds, archived, known, is_new_worker, retry)


class Sharded:
    """The case, sharded to its end, each round twice, with its state through JSON."""

    def __init__(self, case: Case) -> None:
        self.store, self.table = MemoryStore(), MemoryTable()
        for identity in case.stored:
            if row := case.row(identity):
                self.table.stored[identity] = row
        for number, images in enumerate(case.files):
            self.store.write(LAYOUT.listing(number), dump_listing(images))
        where = {"Manifest": "s3://work/m"} if case.by_manifest else {"Paths": ["/"]}
        options = {
            "ImageId": case.scheme,
            "ShardSize": case.shard_size,
            "Reembed": case.reembed,
            "RetryFailures": case.retry_failures,
        }
        run_input = parse_run_input(
            {**where, **options}, image_bucket="images", work_bucket="work", default_shard_size=1
        )
        failures = [ImageFailure(key, key, FailureReason.TRUNCATED, "m", case.distinct[key].etag) for key in case.known]
        records = sorted(filter(None, map(record_of, failures)))
        worker = "before" if case.is_new_worker else "now"
        uri = known_failures_uri("work", run_input)
        assert uri is not None
        self.store.write(uri, b"".join(dump_known(records, worker=worker)))
        self.sharder = Sharder(self.store, self.table, LAYOUT, run_input, MODEL, worker="now")
        state = ShardingState(
            run="r",
            started="2026-11-25T00:00:00Z",
            listing=ListingCounts(listed=sum(map(len, case.files))),
            listing_files=len(case.files),
            counts=ShardingCounts(),
            cursor=self.sharder.first_cursor,
            shards_key=LAYOUT.shards.key,
            done=False,
        )
        while not state.done:
            state = self._round(state, in_rounds=case.in_rounds)
        self.counts = state.counts
        numbers = range(state.cursor.steps)
        self.steps: list[Any] = [self.store.document(LAYOUT.sharding_step(number)) for number in numbers]

    def _round(self, state: ShardingState, *, in_rounds: bool) -> ShardingState:
        after = self.sharder.run(state, time_is_short=lambda: in_rounds)
        files = dict(self.store.files)
        assert self.sharder.run(state, time_is_short=lambda: in_rounds) == after
        assert self.store.files == files
        text = codec.to_json(after)
        assert len(text.encode()) < STATE_PAYLOAD_BYTES
        return codec.from_json(ShardingState, text, where="state")

    @property
    def shards(self) -> list[list[ShardImage]]:
        entries = self.store.document(LAYOUT.shards)
        assert [entry["shard"] for entry in entries] == list(range(len(entries)))
        uris = [S3Uri.parse(entry["uri"]) for entry in entries]
        return [list(read_shard(io.BytesIO(self.store.files["work", uri.key]), where=str(uri))) for uri in uris]

    @property
    def refused(self) -> list[tuple[str, str]]:
        return [(failure["key"], failure["reason"]) for step in self.steps for failure in step["refused"]]

    @property
    def failed_before(self) -> list[str]:
        failures = [failure for step in self.steps for failure in step["failed_before"]]
        assert all(failure["failed_before"] and failure["reason"] == "Truncated" for failure in failures)
        return [failure["key"] for failure in failures]


@pytest.fixture(scope="module", autouse=True)
def _small_windows() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharder_module, "PARTITION_LINES", 6)
        patch.setattr(sharder_module, "SHARD_BYTES", 10**6)
        yield


def sharded(case: Case) -> Sharded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharder_module, "PARTITION_FILES", case.partition_files)
        return Sharded(case)


def expected_fate(case: Case) -> tuple[set[str], set[str], set[tuple[str, str]], set[str]]:
    """Keys to embed, unchanged, refused with their reason, and left out as before, by docs/architecture.md."""
    sharing = Counter(image_id(key, case.scheme) for key in case.distinct)
    embed, unchanged, before = set(), set(), set()
    refused: set[tuple[str, str]] = set()
    is_known = not (case.reembed or case.retry_failures or case.is_new_worker)
    for key, image in case.distinct.items():
        identity = image_id(key, case.scheme)
        row = case.row(identity)
        if sharing[identity] > 1 or (row is not None and row.key not in ("", key)):
            refused.add((key, "IdConflict"))
        elif row is not None and (row.etag, row.model) == (image.etag, MODEL) and not case.reembed:
            unchanged.add(key)
        elif key in case.archived:
            refused.add((key, "Archived"))
        elif key in case.known and is_known:
            before.add(key)
        else:
            embed.add(key)
    return embed, unchanged, refused, before


@PROPERTY
@given(cases())
def test_each_listed_image_has_one_fate(case: Case) -> None:
    run = sharded(case)
    embed, unchanged, refused, before = expected_fate(case)
    event(f"refused: {bool(refused)}, before: {bool(before)}, shards: {min(len(run.shards), 3)}")
    images = list(chain.from_iterable(run.shards))
    assert Counter(image.key for image in images) == Counter(embed)
    assert Counter(run.refused) == Counter(refused)
    assert Counter(run.failed_before) == Counter(before)
    assert run.counts.failed_before == len(before)
    assert sum(step["unchanged"] for step in run.steps) == run.counts.unchanged == len(unchanged)
    duplicates = sum(map(len, case.files)) - len(case.distinct)
    assert sum(step["duplicates"] for step in run.steps) == run.counts.duplicates == duplicates
    assert (run.counts.to_embed, run.counts.refused) == (len(images), len(run.refused))
    for image in images:
        listed_image = case.distinct[image.key]
        assert (image.size, image.etag) == (listed_image.size, listed_image.etag)
        assert image.image_id == image_id(image.key, case.scheme)


@PROPERTY
@given(cases())
def test_no_id_is_shared_and_no_other_keys_row_is_overwritten(case: Case) -> None:
    run = sharded(case)
    images = list(chain.from_iterable(run.shards))
    assert max(Counter(image.image_id for image in images).values(), default=1) == 1
    for image in images:
        row = run.table.stored.get(image.image_id)
        assert row is None or row.key in ("", image.key)


@PROPERTY
@given(cases())
def test_shards_keep_their_size_are_balanced_and_few(case: Case) -> None:
    run = sharded(case)
    by_number = dict(enumerate(map(len, run.shards)))
    assert run.counts.shards == len(by_number)
    for step in run.steps:
        sizes = [by_number[entry["shard"]] for entry in step["shards"]]
        assert sizes == [entry["images"] for entry in step["shards"]]
        assert max(sizes, default=0) <= case.shard_size
        assert max(sizes, default=0) - min(sizes, default=0) <= 1
        # What is less than a shard is carried on, so only the last window makes a shard that is less than half full.
        assert step is run.steps[-1] or all(2 * size >= case.shard_size for size in sizes)


@PROPERTY
@given(cases())
def test_rounds_and_repetitions_change_nothing(case: Case) -> None:
    in_rounds, at_once = (sharded(replace(case, in_rounds=flag)) for flag in (True, False))
    assert in_rounds.store.files == at_once.store.files
