"""Who gets which lines of a shard, and who gets them again. No process is needed for it."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from stepvec_worker.processes.decode_watch import DecodeWatch, InDecode
from stepvec_worker.processes.messages import Deal
from stepvec_worker.processes.shard_queue import CHUNK_IMAGES, SMALLEST_CHUNK_IMAGES, Blamed, Dealer
from stepvec_worker.storage.shard_file import ShardFile, open_shard

from stepvec.errors import RecordError, StorageError
from stepvec.limits import BATCH_GET_ITEMS
from stepvec.runs.listing import dump_shard
from stepvec.runs.outcome import FailureReason
from tests.worker.folder_table import images

CRASHED = FailureReason.DECODER_CRASHED


@pytest.fixture
def shard() -> Iterator[ShardFile]:
    with open_shard(io.BytesIO(dump_shard(images(450))), "s3://work/shard") as file:
        yield file


def lines(chunk: Deal) -> set[int]:
    return set(range(chunk.first, chunk.first + chunk.count)) - set(chunk.skip)


def test_each_line_is_dealt_once_and_chunks_become_smaller_towards_the_end(shard: ShardFile) -> None:
    dealer = Dealer(shard, 2)
    dealer.join(1)
    chunks = []
    while chunk := dealer.deal(1):
        chunks.append(chunk)
        assert [line for line, _ in shard.images_of(chunk)] == sorted(lines(chunk))
    assert sorted(line for chunk in chunks for line in lines(chunk)) == list(range(450))
    counts = [chunk.count for chunk in chunks]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], min(counts[:-1])) == (CHUNK_IMAGES, SMALLEST_CHUNK_IMAGES)
    assert CHUNK_IMAGES <= BATCH_GET_ITEMS
    assert not dealer.has_work
    assert not dealer.is_done
    for chunk in chunks:
        dealer.acknowledge(1, chunk.chunk)
    assert dealer.is_done
    dealer.leave(1)


def test_what_a_lost_process_had_not_acknowledged_is_dealt_again(shard: ShardFile) -> None:
    dealer = Dealer(shard, 1)
    dealer.join(1)
    first, second, third = (dealer.deal(1) for _ in range(3))
    assert first
    assert second
    assert third
    dealer.acknowledge(1, second.chunk)
    assert dealer.lose(1, [], CRASHED) == []
    dealer.join(2)
    assert [dealer.deal(2), dealer.deal(2)] == [first, third]


def test_a_suspect_is_dealt_alone_to_a_new_process_and_blamed_the_second_time(shard: ShardFile) -> None:
    dealer = Dealer(shard, 1)
    dealer.join(1)
    chunk = dealer.deal(1)
    assert chunk
    assert dealer.lose(1, [InDecode(chunk.chunk, 17, 1.0)], CRASHED) == []
    dealer.join(2)
    suspect, again = dealer.deal(2), dealer.deal(2)
    assert suspect
    assert again
    assert (suspect.alone, lines(suspect)) == (True, {17})
    assert [line for line, _ in shard.images_of(suspect)] == [17]
    assert lines(again) == lines(chunk) - {17}
    assert dealer.lose(2, [InDecode(suspect.chunk, 17, 2.0)], CRASHED) == [Blamed(17, CRASHED)]
    dealer.join(3)
    third = dealer.deal(3)
    assert third
    assert lines(third) == lines(chunk) - {17}


def test_a_suspect_whose_process_died_of_something_else_is_tried_again(shard: ShardFile) -> None:
    dealer = Dealer(shard, 1)
    dealer.join(1)
    chunk = dealer.deal(1)
    assert chunk
    dealer.lose(1, [InDecode(chunk.chunk, 0, 1.0), InDecode(chunk.chunk, 5, 1.0)], CRASHED)
    dealer.join(2)
    suspects = [dealer.deal(2), dealer.deal(2)]
    assert dealer.lose(2, [], CRASHED) == []
    dealer.join(3)
    assert sorted(str(dealer.deal(3)) for _ in range(2)) == sorted(map(str, suspects))


def test_only_new_processes_get_suspects(shard: ShardFile) -> None:
    dealer = Dealer(shard, 2)
    dealer.join(1)
    dealer.join(2)
    dealer.deal(1)
    chunk = dealer.deal(2)
    assert chunk
    dealer.lose(2, [InDecode(chunk.chunk, chunk.first, 1.0)], CRASHED)
    busy = dealer.deal(1)
    assert busy
    assert not busy.alone
    dealer.join(3)
    fresh = dealer.deal(3)
    assert fresh
    assert fresh.alone


def test_a_process_told_that_nothing_is_left_gets_nothing_that_comes_back_later(shard: ShardFile) -> None:
    # It asks for two chunks at once: told to finish by the first answer, it would end with the second in hand.
    dealer = Dealer(shard, 2)
    dealer.join(1)
    chunks = list(iter(lambda: dealer.deal(1), None))
    dealer.join(2)
    assert dealer.deal(2) is None
    dealer.lose(1, [], CRASHED)
    assert dealer.deal(2) is None
    dealer.leave(2)
    assert dealer.has_work
    dealer.join(3)
    assert [dealer.deal(3) for _ in chunks] == chunks


def test_a_process_that_leaves_with_work_in_hand_is_an_error(shard: ShardFile) -> None:
    dealer = Dealer(shard, 1)
    dealer.join(1)
    dealer.deal(1)
    with pytest.raises(AssertionError, match="before it acknowledged"):
        dealer.leave(1)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_dies_each_line_ends_acknowledged_or_blamed_and_only_once(shard: ShardFile, seed: int) -> None:
    chance = random.Random(seed)
    guilty = {3, 77, 78, 449}
    dealer, number = Dealer(shard, 3), 0
    held: dict[int, list[Deal]] = {}
    acknowledged: list[int] = []
    blamed: list[int] = []
    while not dealer.is_done:
        while len(held) < 3:
            number += 1
            held[number] = []
            dealer.join(number)
        process = chance.choice(list(held))
        if len(held[process]) < 3 and (chunk := dealer.deal(process)):
            held[process].append(chunk)
        if not held[process]:
            continue
        # A process works in the order it was dealt.
        first = held[process][0]
        evil = lines(first) & guilty
        if evil or chance.random() < 0.2:
            # Killed from outside it may be anywhere, but not twice in decode of one image.
            anywhere = [] if first.alone else sorted(lines(first))
            at = [min(evil)] if evil else chance.sample(anywhere, min(1, len(anywhere)))
            in_decode = [InDecode(first.chunk, line, 1.0) for line in at]
            blamed += [image.line for image in dealer.lose(process, in_decode, CRASHED)]
            del held[process]
        else:
            held[process].pop(0)
            acknowledged += sorted(lines(first))
            dealer.acknowledge(process, first.chunk)
    assert sorted(blamed) == sorted(guilty)
    assert sorted(acknowledged + blamed) == list(range(450))


def test_the_watch_tells_what_is_in_decode_and_for_how_long() -> None:
    watch = DecodeWatch(2)
    assert watch.in_decode() == []
    with watch.decoding(4, 17), watch.decoding(5, 20):
        assert [(image.chunk, image.line) for image in watch.in_decode()] == [(4, 17), (5, 20)]
        assert watch.overdue(-1)
        assert not watch.overdue(60)
    assert watch.in_decode() == []
    assert not watch.overdue(-1)


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"this is no shard", "no gzip file"), (dump_shard(images(3))[:-9], "no gzip file")],
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
