"""ShardImages: ids, duplicates, conflicts, what is stored already, balance, rounds and memory."""

import io
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.shard_images import sharder as sharder_module
from lambdas.shard_images import window as window_module
from lambdas.shard_images.sharder import Sharder
from lambdas.shard_images.window import balance, identify, shard_count
from stepvec.errors import InvalidInputError
from stepvec.rows.indexed import entry_of
from stepvec.rows.item import RowMetadata
from stepvec.runs.known_failures import dump_known, known_failures_uri, record_of
from stepvec.runs.layout import S3Uri
from stepvec.runs.listing import ListedImage, ShardImage, archived, dump_listing, read_shard
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.run_input import parse_run_input
from stepvec.runs.steps import ListingCounts, ShardingCounts, ShardingState
from tests.fakes import LAYOUT, MODEL, MemoryIndex, MemoryStore, MemoryTable


def listed(*keys: str) -> list[ListedImage]:
    return [ListedImage(key, 10, f"etag-of-{key}") for key in keys]


class Run:
    """One sharding run over listing files in memory."""

    def __init__(
        self,
        files: list[list[ListedImage]],
        table: MemoryTable | None = None,
        *,
        worker: str = "",
        index: MemoryIndex | None = None,
        **options: Any,
    ) -> None:
        self.store, self.table = MemoryStore(), table or MemoryTable()
        for number, images in enumerate(files):
            self.store.write(LAYOUT.listing(number), dump_listing(images))
        where = {} if "Manifest" in options else {"Paths": ["a"]}
        run_input = parse_run_input(
            {**where, **options}, image_bucket="images", work_bucket="work", default_shard_size=5000
        )
        self.sharder = Sharder(self.store, self.table, LAYOUT, run_input, MODEL, worker=worker, index=index)
        self.state = ShardingState(
            run="r",
            started="2026-11-22T00:00:00Z",
            listing=ListingCounts(listed=sum(map(len, files))),
            listing_files=len(files),
            counts=ShardingCounts(),
            cursor=self.sharder.first_cursor,
            shards_key=LAYOUT.shards.key,
            done=False,
        )
        self.rounds = 0

    def finish(self, *, in_rounds: bool = False) -> "Run":
        while not self.state.done:
            self.state = self.sharder.run(self.state, time_is_short=lambda: in_rounds)
            self.rounds += 1
        return self

    @property
    def shards(self) -> list[list[ShardImage]]:
        entries = self.store.document(LAYOUT.shards)
        assert [entry["shard"] for entry in entries] == list(range(len(entries)))
        shards = [
            list(read_shard(io.BytesIO(self.store.files["work", LAYOUT.shard(entry["shard"]).key]), where="x"))
            for entry in entries
        ]
        assert [len(shard) for shard in shards] == [entry["images"] for entry in entries]
        return shards

    @property
    def keys(self) -> list[str]:
        return sorted(image.key for shard in self.shards for image in shard)

    @property
    def refused(self) -> dict[str, str]:
        steps = [self.store.document(LAYOUT.sharding_step(number)) for number in range(self.state.cursor.steps)]
        assert all(failure["reason"] == FailureReason.ID_CONFLICT for step in steps for failure in step["refused"])
        return {failure["key"]: failure["message"] for step in steps for failure in step["refused"]}

    def assert_accounted(self) -> None:
        counts = self.state.counts
        total = counts.to_embed + counts.unchanged + counts.refused + counts.duplicates
        assert total == self.state.listing.listed
        assert counts.to_embed == len(self.keys)


def test_every_listed_image_is_in_one_shard_and_has_its_key_as_id() -> None:
    run = Run([listed("a/1.jpg", "a/2.jpg"), listed("b/1.jpg")], ShardSize=2).finish()
    assert run.keys == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert all(image.image_id == image.key for shard in run.shards for image in shard)
    run.assert_accounted()


def test_what_the_index_lacks_is_in_a_shard_whatever_can_be_read_of_it() -> None:
    table = MemoryTable()
    names = ("same", "lacking", "older", "frozen")
    for name in names:
        key = f"{name}.jpg"
        table.stored[key] = RowMetadata(key, key, f"etag-of-{key}", MODEL, "r0", created="now")
    held = {row.image_id: entry_of(row) for row in table.stored.values() if row.image_id in ("same.jpg", "older.jpg")}
    held["older.jpg"] = replace(held["older.jpg"], created="before")
    frozen = ListedImage("frozen.jpg", 10, "etag-of-frozen.jpg", archived("GLACIER"))
    files = [[*listed("same.jpg", "lacking.jpg", "older.jpg", "new.jpg"), frozen]]
    run = Run(files, table, index=MemoryIndex(held)).finish()
    assert run.keys == ["frozen.jpg", "lacking.jpg", "new.jpg", "older.jpg"]
    assert run.state.counts.unchanged == 1
    run.assert_accounted()
    without = Run(files, table).finish()
    assert (without.keys, without.state.counts.unchanged) == (["new.jpg"], 4)


@pytest.mark.parametrize("in_rounds", [False, True])
@pytest.mark.parametrize("options", [{}, {"ImageId": "stem"}, {"Manifest": "s3://work/m"}])
def test_rounds_cut_anywhere_give_the_same_shards(
    options: dict[str, Any], in_rounds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharder_module, "PARTITION_FILES", 2)
    files = [listed(*(f"a/{file}-{number}.jpg" for number in range(7))) for file in range(6)]
    run = Run(files, ShardSize=4, **options).finish(in_rounds=in_rounds)
    whole = Run(files, ShardSize=4, **options).finish()
    assert run.shards == whole.shards
    assert run.rounds > 5 if in_rounds else run.rounds == 1
    assert len(run.keys) == 42
    assert max(map(len, run.shards)) <= 4
    run.assert_accounted()


def test_what_the_table_holds_with_the_same_etag_and_model_is_unchanged() -> None:
    table = MemoryTable()
    for name, etag, model in (("same", "etag-of-same.jpg", MODEL), ("newer", "old", MODEL), ("other", "x", "m")):
        key = f"{name}.jpg"
        table.stored[key] = RowMetadata(key, key, f"etag-of-{key}" if name == "other" else etag, model, "r0")
    run = Run([listed("same.jpg", "newer.jpg", "other.jpg", "new.jpg")], table).finish()
    assert run.keys == ["new.jpg", "newer.jpg", "other.jpg"]
    assert run.state.counts.unchanged == 1
    run.assert_accounted()


def test_an_empty_table_is_asked_once_a_window_and_no_image_is_looked_up() -> None:
    run = Run([listed("a/1.jpg", "a/2.jpg"), listed("b/1.jpg")], ShardSize=2).finish()
    assert run.table.largest_read == 0
    assert [run.store.document(LAYOUT.sharding_step(number))["read_units"] for number in range(2)] == [1, 1]
    row = RowMetadata("x", "x", "e", MODEL, "r0")
    other = Run([listed("a/1.jpg", "a/2.jpg"), listed("b/1.jpg")], MemoryTable({"x": row}), ShardSize=2).finish()
    assert other.shards == run.shards
    assert [other.store.document(LAYOUT.sharding_step(number))["read_units"] for number in range(2)] == [2, 1.5]


def test_reembed_takes_what_is_stored_again() -> None:
    table = MemoryTable(stored={"a.jpg": RowMetadata("a.jpg", "a.jpg", "etag-of-a.jpg", MODEL, "r0")})
    assert Run([listed("a.jpg")], table, Reembed=True).finish().keys == ["a.jpg"]


def test_nothing_to_do_is_an_empty_array_of_shards() -> None:
    table = MemoryTable(stored={"a.jpg": RowMetadata("a.jpg", "a.jpg", "etag-of-a.jpg", MODEL, "r0")})
    run = Run([listed("a.jpg")], table).finish()
    assert run.store.document(LAYOUT.shards) == []
    run.assert_accounted()


def test_two_keys_with_one_stem_are_refused_by_name_even_in_different_files() -> None:
    files = [listed("a/1.jpg", "a/2.jpg"), listed("b/1.png", "b/3.jpg"), listed("c/1.gif")]
    run = Run(files, ImageId="stem").finish()
    assert run.keys == ["a/2.jpg", "b/3.jpg"]
    assert sorted(run.refused) == ["a/1.jpg", "b/1.png", "c/1.gif"]
    assert "'a/1.jpg'" in run.refused["b/1.png"]
    assert "'a/1.jpg'" not in run.refused["a/1.jpg"]
    run.assert_accounted()


def test_a_stem_that_very_many_keys_share_is_refused_before_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "MAX_WINDOW_IMAGES", 3)
    files = [listed(*(f"{folder}/image.jpg" for folder in range(4)))]
    with pytest.raises(InvalidInputError, match="share an id, such as '3/image.jpg'"):
        Run(files, ImageId="stem").finish()
    assert len(Run([listed("a.jpg"), listed(*["a.jpg"] * 9)], Manifest="s3://work/m").finish().keys) == 1


def test_a_stem_never_overwrites_another_keys_row_but_takes_over_the_original_samples() -> None:
    table = MemoryTable()
    table.stored["1"] = RowMetadata("1", "old/1.jpg", "e", MODEL, "r0")
    table.stored["2"] = RowMetadata("2", "", "", "", "")
    run = Run([listed("a/1.jpg", "a/2.jpg")], table, ImageId="stem", Reembed=True).finish()
    assert run.keys == ["a/2.jpg"]
    assert list(run.refused) == ["a/1.jpg"]
    run.assert_accounted()


def test_a_key_named_twice_by_a_manifest_is_embedded_once_and_counted() -> None:
    run = Run([listed("a.jpg", "b.jpg", "a.jpg"), listed("a.jpg")], Manifest="s3://work/m").finish()
    assert run.keys == ["a.jpg", "b.jpg"]
    assert run.state.counts.duplicates == 2
    run.assert_accounted()


def test_few_images_of_many_windows_are_carried_into_one_shard() -> None:
    run = Run([listed(f"{number}.jpg") for number in range(9)], ShardSize=10).finish()
    assert [len(shard) for shard in run.shards] == [9]


def test_more_shards_than_a_map_can_answer_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharder_module, "MAX_SHARDS", 3)
    assert len(Run([listed("1.jpg", "2.jpg", "3.jpg")], ShardSize=1).finish().shards) == 3
    with pytest.raises(InvalidInputError, match="ShardSize 1 makes more than 3 shards"):
        Run([listed("1.jpg", "2.jpg"), listed("3.jpg", "4.jpg")], ShardSize=1).finish()


SIZES = st.lists(st.integers(0, 10_000), min_size=1, max_size=60)


@given(SIZES, st.integers(1, 20), st.integers(1, 50_000))
def test_balance_loses_nothing_and_keeps_the_limits(sizes: list[int], max_images: int, max_bytes: int) -> None:
    images = [ShardImage(str(number), size, "e", str(number)) for number, size in enumerate(sizes)]
    shards = balance(images, shard_count(images, max_images=max_images, max_bytes=max_bytes))
    assert Counter(image for shard in shards for image in shard) == Counter(images)
    counts = [len(shard) for shard in shards]
    assert max(counts) <= max_images
    assert max(counts) - min(counts) <= 1


def test_balance_spreads_bytes() -> None:
    images = [ShardImage(str(number), 1000 if number < 10 else 1, "e", "") for number in range(100)]
    weights = [sum(image.size for image in shard) for shard in balance(images, 5)]
    assert max(weights) - min(weights) <= 20


def test_large_images_make_more_shards() -> None:
    images = [ShardImage(str(number), 100, "e", "") for number in range(10)]
    assert shard_count(images, max_images=1000, max_bytes=250) == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123")), max_size=12))
def test_identify_gives_each_listed_line_one_fate(parts: list[tuple[str, str]]) -> None:
    found = identify(listed(*(f"{folder}/{stem}.jpg" for folder, stem in parts)), "stem")
    assert len(found.images) + len(found.refused) + found.duplicates == len(parts)
    assert len({image.image_id for image in found.images}) == len(found.images)


def peak_bytes(files: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> int:
    monkeypatch.setattr(sharder_module, "PARTITION_LINES", 1000)
    run = Run([listed(*(f"a/{file}/{number}.jpg" for number in range(1000))) for file in range(files)], **options)
    written: list[int] = []
    # The work bucket, in memory here, is not the function's memory.
    write = run.store.write

    def counting_write(uri: S3Uri, body: bytes, *, content_type: str = "") -> None:
        written.append(len(body))
        write(uri, body)

    monkeypatch.setattr(run.store, "write", counting_write)
    tracemalloc.start()
    run.finish()
    peak = tracemalloc.get_traced_memory()[1] - sum(written)
    tracemalloc.stop()
    run.assert_accounted()
    return peak


@pytest.mark.parametrize("options", [{}, {"Manifest": "s3://work/m"}])
def test_memory_does_not_grow_with_the_number_of_images(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peak_bytes(16, monkeypatch, **options) < 1.5 * peak_bytes(4, monkeypatch, **options)


def test_archived_images_are_refused_without_being_fetched_unless_their_row_is_there() -> None:
    refused = archived("DEEP_ARCHIVE")
    images = [replace(image, refused=refused) for image in listed("a.jpg", "b.jpg")] + listed("c.jpg")
    table = MemoryTable(stored={"a.jpg": RowMetadata("a.jpg", "a.jpg", "etag-of-a.jpg", MODEL, "r0")})
    run = Run([images], table).finish()
    (failure,) = run.store.document(LAYOUT.sharding_step(0))["refused"]
    assert (failure["key"], failure["reason"]) == ("b.jpg", "Archived")
    assert "restore it" in failure["message"]
    assert (run.state.counts.unchanged, run.state.counts.to_embed) == (1, 1)


@pytest.mark.parametrize(
    ("options", "worker", "tried"),
    [
        ({}, "w", ["new.jpg"]),
        ({"RetryFailures": True}, "w", ["bad.jpg", "new.jpg"]),
        ({"Reembed": True}, "w", ["bad.jpg", "new.jpg"]),
        ({}, "a newer one", ["bad.jpg", "new.jpg"]),
        ({"Paths": ["b"]}, "w", ["bad.jpg", "new.jpg"]),
    ],
)
def test_what_failed_before_is_not_fetched_again(options: dict[str, Any], worker: str, tried: list[str]) -> None:
    run = Run([listed("bad.jpg", "new.jpg")], worker="w", **options)
    known = ImageFailure("bad.jpg", "bad.jpg", FailureReason.TRUNCATED, "m", "etag-of-bad.jpg")
    uri = known_failures_uri(
        "work",
        parse_run_input({"Paths": ["a"]}, image_bucket="images", work_bucket="work", default_shard_size=1),
    )
    assert uri is not None
    run.store.write(uri, b"".join(dump_known(filter(None, [record_of(known)]), worker=worker)))
    run.finish()
    assert run.keys == tried
    step = run.store.document(LAYOUT.sharding_step(0))
    assert [failure["key"] for failure in step["failed_before"]] == ([] if "bad.jpg" in tried else ["bad.jpg"])
    assert run.state.counts.failed_before == len(step["failed_before"])
