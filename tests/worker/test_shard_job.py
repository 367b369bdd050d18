"""The worker's stream: one outcome an image, bounded, restartable. Fetching and the network are plain functions."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from stepvec_worker.images.fetching import FetchedImage
from stepvec_worker.images.preprocessing import Picture
from stepvec_worker.images.rejection import ImageRejected
from stepvec_worker.processes.concurrency import ByteBudget, concurrent_map
from stepvec_worker.processes.image_watch import ImageWatch
from stepvec_worker.processes.shard_context import Chunk, ChunkTally, ProcessHooks
from stepvec_worker.processes.shard_job import ShardJob, ShardTask, Totals

from stepvec.errors import StorageError
from stepvec.pacing import batches
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.listing import CHUNKS_A_LOOK, ShardImage
from stepvec.runs.outcome import FailureReason, ImageFailure

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"
MODIFIED = datetime(2026, 11, 25, 8, tzinfo=UTC)


class Table:
    """A table in memory; `fail_after` rows it refuses more."""

    def __init__(self, fail_after: int = 10**9) -> None:
        self.rows: dict[str, VectorItem] = {}
        self.fail_after = fail_after
        self.reads: list[int] = []

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        # At half the price: a row that is overlooked is embedded once more.
        assert not consistent
        names = list(image_ids)
        self.reads.append(len(names))
        yield {
            name: RowMetadata(name, row.key, row.etag, row.model, row.run)
            for name in names
            if (row := self.rows.get(name))
        }

    def store(self, row: VectorItem) -> ImageFailure | None:
        if len(self.rows) >= self.fail_after:
            raise StorageError("the table is full", remedy="")
        if row.key.startswith("newer"):
            return ImageFailure(row.key, row.image_id, FailureReason.CHANGED, "a newer one is stored")
        self.rows[row.image_id] = row
        return None


def images(count: int, *, size: int = 10) -> list[ShardImage]:
    return [ShardImage(f"{number}.jpg", size, f"e{number}", f"{number}.jpg") for number in range(count)]


def fetch(image: ShardImage) -> FetchedImage:
    return FetchedImage(image.key.encode(), MODIFIED)


def prepare(data: bytes) -> Picture:
    number = int(data.decode().split(".")[0].removeprefix("newer-"))
    if number % 10 == 7:
        raise ImageRejected(FailureReason.TRUNCATED, "cut off")
    return Picture(np.full((2, 2, 3), number, np.uint8), number % 10 == 4)


def embed(pixels: Sequence[Any]) -> Any:
    return np.array([[image[0, 0, 0]] * 4 for image in pixels], np.float32)


class Work:
    """A job over `shard` in chunks of 20; `completed` holds what each chunk was when it was completed."""

    def __init__(
        self,
        table: Table,
        *,
        run: str = "r",
        reembed: bool = False,
        was_leased: bool = False,
        hooks: ProcessHooks | None = None,
        **changes: Any,
    ) -> None:
        arguments: dict[str, Any] = {
            "fetch": fetch,
            "prepare": prepare,
            "embed": embed,
            "store": table.store,
            "download_threads": 4,
            "write_threads": 2,
        }
        task = ShardTask(run, MODEL, dimension=4, vector_type="float32", reembed=reembed, batch_size=8)
        self.table = table
        self.job = ShardJob(task, table, hooks or ProcessHooks(ImageWatch(20, decoders=2)), **{**arguments, **changes})
        self.was_leased = was_leased
        self.tallies: list[ChunkTally] = []
        self.completed: list[int] = []

    def run(self, shard: Sequence[ShardImage]) -> None:
        self.job.run(self._chunks(shard))

    def _chunks(self, shard: Sequence[ShardImage]) -> Iterator[Chunk]:
        for number, part in enumerate(batches(enumerate(shard), 20)):
            tally = ChunkTally(len(part), lambda tally, number=number: self.completed.append(number))  # type: ignore[misc]
            self.tallies.append(tally)
            yield Chunk(number, part, tally, self.was_leased)

    @property
    def embedded(self) -> int:
        return sum(tally.embedded for tally in self.tallies)

    @property
    def unchanged(self) -> int:
        return sum(tally.unchanged for tally in self.tallies)

    @property
    def failures(self) -> list[ImageFailure]:
        return [failure for tally in self.tallies for failure in tally.failures]


def test_each_image_gets_its_own_vector_or_its_reason() -> None:
    table = Table()
    work = Work(table)
    work.run(images(105))
    assert work.embedded == len(table.rows) == 95
    assert {failure.key for failure in work.failures} == {f"{number}7.jpg" for number in ["", *range(1, 10)]}
    for name, row in table.rows.items():
        assert np.frombuffer(row.vector, "<f4").tolist() == [float(name.split(".")[0])] * 4
        assert (row.etag, row.model, row.run, row.modified) == (f"e{name.split('.')[0]}", MODEL, "r", MODIFIED)
    assert sorted(work.completed) == [0, 1, 2, 3, 4, 5]
    # Nobody else has stored any: one look was enough.
    assert table.reads == [20]


def test_images_of_one_colour_are_told_and_taken_back_where_the_row_is_refused() -> None:
    told: list[tuple[int, bool]] = []
    hooks = ProcessHooks(ImageWatch(20, decoders=2), on_uniform=lambda line, counts: told.append((line, counts)))
    table = Table()
    Work(table, hooks=hooks).run([*images(30), ShardImage("newer-34.jpg", 10, "e34", "34.jpg")])
    # The last is refused.
    assert sorted(told) == [(4, True), (14, True), (24, True), (30, False), (30, True)]
    told.clear()
    Work(table, hooks=hooks).run(images(30))
    assert not told


def test_batches_reach_across_chunks_and_only_the_last_is_smaller() -> None:
    sizes: list[int] = []

    def noting_embed(pixels: Sequence[Any]) -> Any:
        sizes.append(len(pixels))
        return embed(pixels)

    Work(Table(), embed=noting_embed).run(images(105))
    assert sizes == [8] * 11 + [7]


def test_a_chunk_is_completed_when_its_rows_are_stored_and_not_before() -> None:
    table, stored = Table(), threading.Semaphore(0)
    waiting: list[list[int]] = []

    def slow_store(row: VectorItem) -> ImageFailure | None:
        waiting.append(list(work.completed))
        assert stored.acquire(timeout=10)
        return table.store(row)

    hooks = ProcessHooks(ImageWatch(20, decoders=2), on_batch=lambda: stored.release(8))
    work = Work(table, store=slow_store, write_threads=1, hooks=hooks)
    stored.release(5)
    work.run(images(40))
    assert sorted(work.completed) == [0, 1]
    # 18 of the first 20 images have rows: until the last of them is stored the chunk is open.
    assert all(0 not in before for before in waiting[:18])


def test_a_row_that_is_refused_is_its_images_failure() -> None:
    shard = [*images(5), ShardImage("newer-5.jpg", 10, "e5", "5.jpg")]
    work = Work(Table())
    work.run(shard)
    assert work.embedded == len(work.table.rows) == 5
    assert [(failure.key, failure.reason) for failure in work.failures] == [("newer-5.jpg", FailureReason.CHANGED)]


def test_a_second_attempt_embeds_only_what_the_first_did_not_store() -> None:
    table = Table(fail_after=50)
    first = Work(table)
    with pytest.raises(StorageError):
        first.run(images(105))
    stored = len(table.rows)
    assert 0 < stored < 95
    assert first.embedded == stored
    table.fail_after = 10**9
    seen: list[str] = []

    def noting_fetch(image: ShardImage) -> FetchedImage:
        seen.append(image.key)
        return fetch(image)

    second = Work(table, fetch=noting_fetch, was_leased=True)
    second.run(images(105))
    assert table.reads[-6:] == [20, 20, 20, 20, 20, 5]
    assert len(seen) == 105 - stored
    assert second.embedded == len(table.rows) == 95


def test_rows_of_another_run_are_unchanged_or_embedded_again() -> None:
    table = Table()
    Work(table, run="first").run(images(20))
    second = Work(table, run="second")
    second.run(images(20))
    assert (second.unchanged, second.embedded) == (18, 0)
    third = Work(table, run="third", reembed=True)
    third.run(images(20))
    assert (third.unchanged, third.embedded) == (0, 18)
    assert {row.run for row in table.rows.values()} == {"third"}


def test_what_another_run_stores_meanwhile_is_found_from_the_next_look_on() -> None:
    table = Table()
    shard = images(20 * 2 * CHUNKS_A_LOOK)
    others = Work(table, run="other")

    def racing_store(row: VectorItem) -> ImageFailure | None:
        # Another run does the second half while this one is at its first row.
        if row.image_id == "0.jpg":
            others.run(shard[len(shard) // 2 :])
        return table.store(row)

    work = Work(table, store=racing_store, write_threads=1)
    work.run(shard)
    good = len([image for image in shard if not image.key.endswith("7.jpg")])
    assert work.embedded + work.unchanged == len(table.rows) == good
    assert work.unchanged > good // 3


def test_when_stopped_what_is_begun_is_stored_and_nothing_else_is_begun() -> None:
    table, stop = Table(), threading.Event()
    work = Work(table, hooks=ProcessHooks(ImageWatch(20, decoders=2), is_stopped=stop.is_set, on_batch=stop.set))
    work.run(images(500))
    assert 0 < len(table.rows) == work.embedded < 100
    rest = Work(table)
    rest.run(images(500))
    assert rest.embedded == len(table.rows) == 450


def test_an_error_of_storage_fails_the_job_but_keeps_what_was_embedded() -> None:
    def broken(image: ShardImage) -> FetchedImage:
        if image.key == "60.jpg":
            raise StorageError("S3 is away", remedy="")
        return fetch(image)

    work = Work(Table(), fetch=broken)
    with pytest.raises(StorageError, match="S3 is away"):
        work.run(images(105))
    assert len(work.table.rows) == work.embedded > 20


def test_only_a_bounded_number_of_images_is_in_hand() -> None:
    fetched, embedded, most = [0], [0], [0]
    lock = threading.Lock()

    def counting_fetch(image: ShardImage) -> FetchedImage:
        with lock:
            fetched[0] += 1
            most[0] = max(most[0], fetched[0] - embedded[0])
        return FetchedImage(b"1.jpg", MODIFIED)

    def slow_embed(pixels: Sequence[Any]) -> Any:
        time.sleep(0.01)
        with lock:
            embedded[0] += len(pixels)
        return embed(pixels)

    Work(Table(), fetch=counting_fetch, embed=slow_embed).run(images(300))
    assert embedded[0] == 300
    assert most[0] <= 8 * 2 + 8 + 4


def test_no_more_images_are_decoded_at_a_time_than_the_watch_has_slots() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def slow_prepare(data: bytes) -> Any:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)
        with lock:
            now[0] -= 1
        return prepare(data)

    Work(Table(), prepare=slow_prepare, hooks=ProcessHooks(ImageWatch(20, decoders=2))).run(images(60))
    assert most[0] == 2


def test_no_image_is_no_work() -> None:
    work = Work(Table())
    work.run([])
    assert work.job.totals == Totals()


def test_concurrent_map_keeps_the_order_and_the_bound() -> None:
    started: list[int] = []

    def double(number: int) -> int:
        started.append(number)
        return number * 2

    with ThreadPoolExecutor(3) as pool:
        results = concurrent_map(pool, double, range(100), ahead=5)
        assert [next(results) for _ in range(10)] == [number * 2 for number in range(10)]
        assert len(started) <= 15
        assert list(results) == [number * 2 for number in range(10, 100)]


def test_a_byte_budget_holds_and_lets_one_large_element_through() -> None:
    budget, most, held, lock = ByteBudget(100), [0], [0], threading.Lock()

    def use(size: int) -> None:
        budget.acquire(size)
        with lock:
            held[0] += size
            most[0] = max(most[0], held[0])
        time.sleep(0.002)
        with lock:
            held[0] -= size
        budget.release(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, [40, 30, 20, 500, 60, 10] * 5))
    assert most[0] in (500, 100)
