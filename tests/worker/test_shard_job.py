"""The worker's stream: one outcome an image, bounded, restartable. Fetching and the network are plain functions."""

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from stepvec_worker.bounded import ByteBudget, bounded_map
from stepvec_worker.decoding import ImageRejected
from stepvec_worker.fetching import BODY_ATTEMPTS, ImageFetcher
from stepvec_worker.shard_job import ShardJob, ShardTally, ShardTask

from stepvec.errors import StorageError
from stepvec.item import StoredMark, VectorItem
from stepvec.outcome import FailureReason
from stepvec.records.listing import ShardImage

MODEL = "resnet18_v2/a81db45fd7b7/standard-1"


class Table:
    """A table in memory; `fail_after` rows it refuses more."""

    def __init__(self, fail_after: int = 10**9) -> None:
        self.rows: dict[str, VectorItem] = {}
        self.puts: list[int] = []
        self.fail_after = fail_after

    def marks(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, StoredMark]]:
        assert consistent
        yield {
            name: StoredMark(name, row.key, row.etag, row.model, row.run)
            for name in image_ids
            if (row := self.rows.get(name))
        }

    def put(self, items: list[VectorItem]) -> None:
        if len(self.rows) >= self.fail_after:
            raise StorageError("the table is full", remedy="")
        self.puts.append(len(items))
        self.rows.update({item.image_id: item for item in items})


def images(count: int, *, size: int = 10) -> list[ShardImage]:
    return [ShardImage(f"{number}.jpg", size, f"e{number}", f"{number}.jpg") for number in range(count)]


def fetch(image: ShardImage) -> bytes:
    return image.key.encode()


def prepare(data: bytes) -> Any:
    number = int(data.decode().split(".")[0])
    if number % 10 == 7:
        raise ImageRejected(FailureReason.TRUNCATED, "cut off")
    return np.full((2, 2, 3), number, np.uint8)


def embed(batch: Any) -> Any:
    return np.stack([np.repeat(np.float32(image[0, 0, 0]), 4) for image in batch])


def job(table: Table, *, run: str = "r", reembed: bool = False, **changes: Any) -> ShardJob:
    arguments: dict[str, Any] = {
        "fetch": fetch,
        "prepare": prepare,
        "embed": embed,
        "download_threads": 4,
        "decoders": 2,
        "is_stopped": lambda: False,
        "on_progress": lambda tally: None,
    }
    task = ShardTask(run, 0, MODEL, dimension=4, vector_type="float32", reembed=reembed, batch_size=8)
    return ShardJob(task, table, **{**arguments, **changes})


def test_each_image_gets_its_own_vector_or_its_reason() -> None:
    table = Table()
    work = job(table)
    assert work.run(images(105))
    assert work.tally.embedded == len(table.rows) == 95
    assert {failure.key for failure in work.tally.failures} == {f"{number}7.jpg" for number in ["", *range(1, 10)]}
    for name, row in table.rows.items():
        assert np.frombuffer(row.vector, "<f4").tolist() == [float(name.split(".")[0])] * 4
        assert (row.etag, row.model, row.run) == (f"e{name.split('.')[0]}", MODEL, "r")
    assert max(table.puts) == 25


def test_a_second_attempt_embeds_only_what_the_first_did_not_store() -> None:
    table = Table(fail_after=50)
    with pytest.raises(StorageError):
        job(table).run(images(105))
    stored = len(table.rows)
    assert 0 < stored < 95
    table.fail_after = 10**9
    seen: list[str] = []

    def noting_fetch(image: ShardImage) -> bytes:
        seen.append(image.key)
        return fetch(image)

    second = job(table, fetch=noting_fetch)
    assert second.run(images(105))
    assert len(seen) == 105 - stored
    assert second.tally.embedded == len(table.rows) == 95


def test_rows_of_another_run_are_unchanged_or_embedded_again() -> None:
    table = Table()
    job(table, run="first").run(images(20))
    second = job(table, run="second")
    second.run(images(20))
    assert (second.tally.unchanged, second.tally.embedded) == (18, 0)
    third = job(table, run="third", reembed=True)
    third.run(images(20))
    assert (third.tally.unchanged, third.tally.embedded) == (0, 18)
    assert {row.run for row in table.rows.values()} == {"third"}


def test_termination_stores_what_was_begun_and_says_that_it_is_not_done() -> None:
    table, stop = Table(), threading.Event()
    work = job(table, is_stopped=stop.is_set, on_progress=lambda tally: stop.set())
    assert work.run(images(500)) is False
    assert 0 < len(table.rows) == work.tally.embedded < 450
    assert job(table).run(images(500))
    assert len(table.rows) == 450


def test_an_error_of_storage_fails_the_shard_but_keeps_what_was_embedded() -> None:
    table = Table()

    def broken(image: ShardImage) -> bytes:
        if image.key == "60.jpg":
            raise StorageError("S3 is away", remedy="")
        return fetch(image)

    work = job(table, fetch=broken)
    with pytest.raises(StorageError, match="S3 is away"):
        work.run(images(105))
    # Also those of a last, incomplete batch of rows.
    assert len(table.rows) == work.tally.embedded > 20
    assert len(table.rows) % 25


def test_only_a_bounded_number_of_images_is_in_hand() -> None:
    fetched, embedded, most = [0], [0], [0]
    lock = threading.Lock()

    def counting_fetch(image: ShardImage) -> bytes:
        with lock:
            fetched[0] += 1
            most[0] = max(most[0], fetched[0] - embedded[0])
        return b"1.jpg"

    def slow_embed(batch: Any) -> Any:
        time.sleep(0.01)
        with lock:
            embedded[0] += len(batch)
        return embed(batch)

    job(Table(), fetch=counting_fetch, embed=slow_embed).run(images(300))
    assert embedded[0] == 300
    assert most[0] <= 8 * 2 + 8 + 4


def test_progress_is_told_on_the_way_and_at_the_end() -> None:
    told: list[int] = []
    job(Table(), on_progress=lambda tally: told.append(tally.embedded + len(tally.failures))).run(images(50))
    assert told[-1] == 50
    assert len(told) > 3


def test_an_empty_shard_is_done() -> None:
    work = job(Table())
    assert work.run([])
    assert work.tally == ShardTally()


def test_bounded_map_keeps_the_order_and_the_bound() -> None:
    started: list[int] = []

    def double(number: int) -> int:
        started.append(number)
        return number * 2

    with ThreadPoolExecutor(3) as pool:
        results = bounded_map(pool, double, range(100), ahead=5)
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


class Bucket:
    """An S3 client whose object breaks off `breaks` times, or answers with an error code."""

    def __init__(self, *, breaks: int = 0, code: str = "") -> None:
        self.breaks, self.code, self.requests = breaks, code, list[dict[str, Any]]()

    def get_object(self, **request: Any) -> Any:
        self.requests.append(request)
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "GetObject")
        if len(self.requests) <= self.breaks:
            return {"Body": BrokenBody()}
        return {"Body": io.BytesIO(b"bytes")}


class BrokenBody:
    def read(self) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=5)


def fetcher(bucket: Bucket) -> Callable[[ShardImage], bytes]:
    return ImageFetcher(bucket, "images", most_bytes=100, sleep=lambda seconds: None).fetch  # type: ignore[arg-type]


def test_the_object_that_was_listed_is_read_and_no_other() -> None:
    bucket = Bucket()
    assert fetcher(bucket)(images(1)[0]) == b"bytes"
    assert bucket.requests == [{"Bucket": "images", "Key": "0.jpg", "IfMatch": '"e0"'}]


def test_a_body_that_breaks_off_is_read_again() -> None:
    assert fetcher(Bucket(breaks=BODY_ATTEMPTS - 1))(images(1)[0]) == b"bytes"
    with pytest.raises(StorageError, match=r"images/0.jpg"):
        fetcher(Bucket(breaks=BODY_ATTEMPTS))(images(1)[0])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("NoSuchKey", FailureReason.NOT_FOUND),
        ("AccessDenied", FailureReason.ACCESS_DENIED),
        ("PreconditionFailed", FailureReason.CHANGED),
        ("InvalidObjectState", FailureReason.ACCESS_DENIED),
    ],
)
def test_what_is_wrong_with_one_object_is_its_reason(code: str, reason: FailureReason) -> None:
    with pytest.raises(ImageRejected) as caught:
        fetcher(Bucket(code=code))(images(1)[0])
    assert caught.value.reason is reason


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "NoSuchBucket"])
def test_what_is_wrong_with_s3_fails_the_shard(code: str) -> None:
    with pytest.raises(StorageError):
        fetcher(Bucket(code=code))(images(1)[0])


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (ShardImage("k", 0, "e", "k"), FailureReason.EMPTY),
        (ShardImage("k", 101, "e", "k"), FailureReason.TOO_LARGE),
        (ShardImage("k", 0, "", "k"), FailureReason.NOT_FOUND),
    ],
)
def test_what_the_listing_tells_is_not_downloaded(image: ShardImage, reason: FailureReason) -> None:
    bucket = Bucket()
    with pytest.raises(ImageRejected) as caught:
        fetcher(bucket)(image)
    assert caught.value.reason is reason
    assert not bucket.requests
