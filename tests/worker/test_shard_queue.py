"""Who gets which lines of a shard, and who gets them again. No process is needed for it."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from stepvec_worker.processes.image_watch import ImageWatch, InHand, Work
from stepvec_worker.processes.shard_queue import CHUNK_IMAGES, MIN_CHUNK_IMAGES, FailedLine, ShardQueue
from stepvec_worker.storage.shard_file import Lease, ShardFile, open_shard

from stepvec.errors import RecordError, StorageError
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.runs.listing import dump_shard
from tests.worker.folder_table import images

CRASHED = Work.DECODING


class Panic(BaseException):
    """As Rust raises it."""


@pytest.fixture
def shard() -> Iterator[ShardFile]:
    with open_shard(io.BytesIO(dump_shard(images(450))), "s3://work/shard") as file:
        yield file


def lines(chunk: Lease) -> set[int]:
    return set(range(chunk.first, chunk.first + chunk.count)) - set(chunk.skip)


def test_each_line_is_leased_once_and_chunks_become_smaller_towards_the_end(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 2)
    queue.join(1)
    chunks = []
    while chunk := queue.lease(1):
        chunks.append(chunk)
        assert [line for line, _ in shard.images_of(chunk)] == sorted(lines(chunk))
    assert sorted(line for chunk in chunks for line in lines(chunk)) == list(range(450))
    counts = [chunk.count for chunk in chunks]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], min(counts[:-1])) == (CHUNK_IMAGES, MIN_CHUNK_IMAGES)
    assert CHUNK_IMAGES <= BATCH_GET_ITEMS
    assert not queue.has_work
    assert not queue.is_done
    for chunk in chunks:
        queue.acknowledge(1, chunk.chunk)
    assert queue.is_done
    queue.leave(1)


def test_what_a_lost_process_had_not_acknowledged_is_leased_again(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 1)
    queue.join(1)
    first, second, third = (queue.lease(1) for _ in range(3))
    assert first
    assert second
    assert third
    queue.acknowledge(1, second.chunk)
    assert queue.lose(1, []) == []
    queue.join(2)
    # What it has stored of them is not known, and will be looked up.
    assert [queue.lease(2), queue.lease(2)] == [replace(first, was_leased=True), replace(third, was_leased=True)]
    fresh = queue.lease(2)
    assert fresh
    assert not fresh.was_leased


def test_a_later_attempt_has_no_line_that_was_not_leased_before(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 1, is_again=True)
    queue.join(1)
    chunks = []
    while chunk := queue.lease(1):
        chunks.append(chunk)
    assert len(chunks) > 3
    assert all(chunk.was_leased for chunk in chunks)


def test_an_image_in_quarantine_has_a_new_process_to_itself_and_fails_the_second_time(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 1)
    queue.join(1)
    chunk = queue.lease(1)
    assert chunk
    assert queue.lose(1, [InHand(chunk.chunk, 17, 1.0)]) == []
    queue.join(2)
    quarantined, again = queue.lease(2), queue.lease(2)
    assert quarantined
    assert again
    assert (quarantined.is_quarantined, quarantined.was_leased, lines(quarantined)) == (True, True, {17})
    assert [line for line, _ in shard.images_of(quarantined)] == [17]
    assert lines(again) == lines(chunk) - {17}
    assert queue.lose(2, [InHand(quarantined.chunk, 17, 2.0)]) == [FailedLine(17, CRASHED)]
    queue.join(3)
    third = queue.lease(3)
    assert third
    assert lines(third) == lines(chunk) - {17}


def test_an_image_in_quarantine_whose_process_died_of_something_else_is_tried_again(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 1)
    queue.join(1)
    chunk = queue.lease(1)
    assert chunk
    queue.lose(1, [InHand(chunk.chunk, 0, 1.0), InHand(chunk.chunk, 5, 1.0)])
    queue.join(2)
    quarantined = [queue.lease(2), queue.lease(2)]
    assert queue.lose(2, []) == []
    queue.join(3)
    assert sorted(str(queue.lease(3)) for _ in range(2)) == sorted(map(str, quarantined))


def test_only_new_processes_get_what_is_in_quarantine(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 2)
    queue.join(1)
    queue.join(2)
    queue.lease(1)
    chunk = queue.lease(2)
    assert chunk
    queue.lose(2, [InHand(chunk.chunk, chunk.first, 1.0)])
    busy = queue.lease(1)
    assert busy
    assert not busy.is_quarantined
    queue.join(3)
    fresh = queue.lease(3)
    assert fresh
    assert fresh.is_quarantined


def test_a_process_told_that_nothing_is_left_gets_nothing_that_comes_back_later(shard: ShardFile) -> None:
    # It asks for two chunks at once: told to finish by the first answer, it would end with the second in hand.
    queue = ShardQueue(shard, 2)
    queue.join(1)
    chunks = list(iter(lambda: queue.lease(1), None))
    queue.join(2)
    assert queue.lease(2) is None
    queue.lose(1, [])
    assert queue.lease(2) is None
    queue.leave(2)
    assert queue.has_work
    queue.join(3)
    assert [queue.lease(3) for _ in chunks] == [replace(chunk, was_leased=True) for chunk in chunks]


def test_a_process_that_leaves_with_work_in_hand_is_an_error(shard: ShardFile) -> None:
    queue = ShardQueue(shard, 1)
    queue.join(1)
    queue.lease(1)
    with pytest.raises(AssertionError, match="before it acknowledged"):
        queue.leave(1)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_dies_each_line_ends_acknowledged_or_failed_and_only_once(shard: ShardFile, seed: int) -> None:
    chance = random.Random(seed)
    guilty = {3, 77, 78, 449}
    queue, number = ShardQueue(shard, 3), 0
    held: dict[int, list[Lease]] = {}
    acknowledged: list[int] = []
    failed: list[int] = []
    while not queue.is_done:
        while len(held) < 3:
            number += 1
            held[number] = []
            queue.join(number)
        process = chance.choice(list(held))
        if len(held[process]) < 3 and (chunk := queue.lease(process)):
            held[process].append(chunk)
        if not held[process]:
            continue
        # A process works in the order of its leases.
        first = held[process][0]
        evil = lines(first) & guilty
        if evil or chance.random() < 0.2:
            # Killed from outside it may be anywhere, but not twice in decode of one image.
            anywhere = [] if first.is_quarantined else sorted(lines(first))
            at = [min(evil)] if evil else chance.sample(anywhere, min(1, len(anywhere)))
            in_decode = [InHand(first.chunk, line, 1.0) for line in at]
            failed += [image.line for image in queue.lose(process, in_decode)]
            del held[process]
        else:
            held[process].pop(0)
            acknowledged += sorted(lines(first))
            queue.acknowledge(process, first.chunk)
    assert sorted(failed) == sorted(guilty)
    assert sorted(acknowledged + failed) == list(range(450))


def test_the_watch_tells_what_is_in_hand_and_how_long_in_decode() -> None:
    watch = ImageWatch(3, decoders=2)
    assert watch.in_hand() == []
    with watch.holding(Work.FETCHING, 4, 17) as first, watch.holding(Work.FETCHING, 5, 20), watch.decoding(first):
        assert [(image.chunk, image.line, image.work) for image in watch.in_hand()] == [
            (4, 17, Work.DECODING),
            (5, 20, Work.FETCHING),
        ]
        assert [image.line for image in watch.overdue(-1)] == [17]
        assert not watch.overdue(60)
    assert watch.in_hand() == []
    assert not watch.overdue(-1)


@pytest.mark.parametrize(("error", "stays"), [(StorageError("", remedy=""), []), (ValueError(), [7]), (Panic(), [7])])
def test_the_watch_keeps_the_image_of_an_error_that_is_not_the_machines(error: BaseException, stays: list[int]) -> None:
    watch = ImageWatch(2, decoders=2)
    with pytest.raises(type(error)), watch.holding(Work.FETCHING, 1, 7) as slot, watch.decoding(slot):
        raise error
    assert [image.line for image in watch.in_hand()] == stays
    assert not watch.overdue(-1)


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"this is no shard", "not a gzip file"), (dump_shard(images(3))[:-9], "not a gzip file")],
)
def test_a_shard_that_cannot_be_read_is_an_error(body: bytes, named: str) -> None:
    with pytest.raises(RecordError, match=named), open_shard(io.BytesIO(body), "s3://work/shard"):
        pass


def test_a_full_disk_is_an_error_of_storage() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", partial(Path("/dev/full").open, "w+b", buffering=0))
        with pytest.raises(StorageError, match="No space left"), open_shard(io.BytesIO(dump_shard(images(1))), "s"):
            pass
