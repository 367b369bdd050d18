"""What is known of earlier failures: found again in files of any size, forgotten by a new worker."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.verify_run.record_sorter import RecordSorter
from stepvec.runs.known_failures import (
    HEADER_BYTES,
    LASTING_REASONS,
    RECORD_BYTES,
    KnownFailures,
    dump_known,
    known_failures_uri,
    record_of,
)
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.run_input import RunInput, parse_run_input
from tests.properties.strategies import KEYS


def failure(key: str, reason: FailureReason = FailureReason.TRUNCATED, etag: str = "e") -> ImageFailure:
    return ImageFailure(key, key, reason, "m", etag)


def known(*failures: ImageFailure, worker: str = "w", read_by: str = "w") -> KnownFailures:
    records = sorted(record for one in failures if (record := record_of(one)))
    return KnownFailures(io.BytesIO(b"".join(dump_known(records, worker=worker))), worker=read_by)


@given(st.dictionaries(KEYS, st.sampled_from(sorted(LASTING_REASONS)), max_size=30), KEYS)
def test_each_is_found_by_key_and_etag_and_nothing_else_is(reasons: dict[str, FailureReason], other: str) -> None:
    found = known(*(failure(key, reason) for key, reason in reasons.items()))
    for key, reason in reasons.items():
        assert found.reason(key, "e") is reason
        assert found.reason(key, "another version") is None
    assert (found.reason(other, "e") is None) is (other not in reasons)


@pytest.mark.parametrize(
    "reason", [FailureReason.NOT_FOUND, FailureReason.ARCHIVED, FailureReason.TIMED_OUT, FailureReason.CHANGED]
)
def test_a_reason_that_may_pass_is_not_remembered(reason: FailureReason) -> None:
    assert record_of(failure("a.jpg", reason)) is None
    assert record_of(failure("a.jpg", etag="")) is None


def test_another_worker_knows_nothing_of_what_the_last_one_could_not_read() -> None:
    assert known(failure("a.jpg"), read_by="w").reason("a.jpg", "e") is FailureReason.TRUNCATED
    assert known(failure("a.jpg"), read_by="w2").reason("a.jpg", "e") is None


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON", b'{"worker": "w", "reasons": ["Gone"]}', b"\xff" * 5000])
def test_in_a_file_that_is_broken_nothing_is_known(body: bytes) -> None:
    assert KnownFailures(io.BytesIO(body), worker="w").reason("a.jpg", "e") is None


def parse(**document: object) -> RunInput:
    return parse_run_input(document, image_bucket="images", work_bucket="work", default_shard_size=5)


def test_what_is_known_is_of_the_same_paths() -> None:
    same = [parse(Paths=["a", "b"]), parse(Paths=["b/", "a"], MaxFailures=3, Suffixes="*", Reembed=True)]
    assert len({known_failures_uri("work", run_input) for run_input in same}) == 1
    others = [*same[:1], parse(Paths=["a"]), parse(Paths=["/"]), parse(Manifest="s3://work/a"), parse(Paths=["//"])]
    assert len({known_failures_uri("work", run_input) for run_input in others}) == len(others)


@pytest.mark.parametrize("folder", ["uploads", "repairs"])
def test_of_a_manifest_that_no_other_run_has_nothing_is_kept(folder: str) -> None:
    # Or a bucket with an upload a minute would have half a million files a year that nobody reads.
    assert known_failures_uri("work", parse(Manifest=f"s3://work/{folder}/x.jsonl")) is None
    assert known_failures_uri("work", parse(Manifest=f"s3://images/{folder}/x.jsonl")) is not None
    assert known_failures_uri("work", parse(Manifest="s3://work/mine.jsonl")) is not None


def test_records_are_sorted_on_disk() -> None:
    sorter = RecordSorter(in_memory=3)
    records = [bytes([number * 7 % 11]) * RECORD_BYTES for number in range(11)]
    for record in records:
        sorter.add(record)
    assert sorter.count == 11
    assert list(sorter.sorted()) == sorted(records)


class Virtual(io.RawIOBase):
    """A file of known failures of any size, computed where it is read: record N has the digest N."""

    def __init__(self, header: bytes, count: int) -> None:
        self._header, self._count, self._at = header, count, 0
        self.reads = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else HEADER_BYTES + self._count * RECORD_BYTES + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if self._at < HEADER_BYTES:
            return self._header
        number = (self._at - HEADER_BYTES) // RECORD_BYTES
        return (number * (2**120 // self._count)).to_bytes(RECORD_BYTES - 1, "big") + b"\0"


def test_a_hundred_million_are_sought_in_without_being_read() -> None:
    header = b"".join(dump_known((), worker="w"))
    stream: IO[bytes] = Virtual(header, 100_000_000)  # type: ignore[assignment]
    tracemalloc.start()
    found = KnownFailures(stream, worker="w")
    for number in range(100):
        assert found.reason(f"{number}.jpg", "e") is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert stream.reads < 100 * 30  # type: ignore[attr-defined]


def test_equal_records_are_written_once() -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b"a" * RECORD_BYTES] * 3

    assert len(b"".join(dump_known(pieces(), worker="w"))) == HEADER_BYTES + RECORD_BYTES
