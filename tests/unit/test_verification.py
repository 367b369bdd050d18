"""VerifyShard and VerifyRun: one outcome an image, and sums that hold."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.verify_run.aggregator import verify_run
from lambdas.verify_run.cost import Pipeline
from lambdas.verify_run.tally import Tally
from lambdas.verify_shard.indexed import NO_INDEX, IndexVerdict, compare
from lambdas.verify_shard.job_failure import ERROR_CHARACTERS, pick, read_job_error
from lambdas.verify_shard.rows import read_rows
from lambdas.verify_shard.verifier import Expectation, ImageOutcome, outcome, verify
from stepvec import codec
from stepvec.estimate.capacity import Capacity
from stepvec.rows.indexed import entry_of
from stepvec.rows.item import RowMetadata, VectorItem
from stepvec.runs.layout import RunLayout
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import ShardReport, StageSeconds, VerifiedShard
from stepvec.runs.steps import (
    ListingCounts,
    ShardEntry,
    ShardingCounts,
    ShardingCursor,
    ShardingState,
    ShardingStep,
)
from tests.fakes import MODEL, MemoryIndex, MemoryStore

EXPECTED = Expectation("r", MODEL)
ASKED = datetime(2026, 11, 25, 12, tzinfo=UTC)
CAPACITY = Capacity("cpu", 4, 1, ("c7i", "m7i", "c6i", "m6i"), 30, spot=True, shard_size=5, vcpu_hour_usd=0.03)
PIPELINE = Pipeline("images", "table", MODEL, "float32", CAPACITY)
INPUT = {"Paths": ["a/"], "ImageId": "key", "ShardSize": 5, "Reembed": False, "MaxFailures": 0}
IMAGE = ShardImage("a.jpg", 1, "e", "a.jpg")
NO_IDS: frozenset[str] = frozenset()


def row(*, etag: str = "e", model: str = MODEL, run: str = "r", name: str = "a.jpg", created: str = "") -> RowMetadata:
    return RowMetadata(name, name, etag, model, run, created=created)


@pytest.mark.parametrize(
    ("stored", "failed", "reembed", "expected"),
    [
        (row(), NO_IDS, False, ImageOutcome.EMBEDDED),
        (row(run="other"), NO_IDS, False, ImageOutcome.UNCHANGED),
        (row(run="other"), NO_IDS, True, ImageOutcome.MISSING),
        (row(run="other", created="2026-11-25T11:59:59.999+00:00"), NO_IDS, True, ImageOutcome.MISSING),
        (row(run="other", created="2026-11-25T12:00:00.000+00:00"), NO_IDS, True, ImageOutcome.UNCHANGED),
        (row(run="other", created="2026-11-25 13:00:00"), NO_IDS, True, ImageOutcome.MISSING),
        (row(run="other", created="yesterday"), NO_IDS, True, ImageOutcome.MISSING),
        (row(run="other", created="2026-11-25T13:00:00Z", etag="older"), NO_IDS, True, ImageOutcome.MISSING),
        (row(), NO_IDS, True, ImageOutcome.EMBEDDED),
        (row(etag="older"), NO_IDS, False, ImageOutcome.MISSING),
        (row(model="resnet18_v1/a81db45fd7b7/standard-1"), NO_IDS, False, ImageOutcome.MISSING),
        (None, NO_IDS, False, ImageOutcome.MISSING),
        (None, frozenset({"a.jpg"}), False, ImageOutcome.FAILED),
        (row(etag="older"), frozenset({"a.jpg"}), False, ImageOutcome.FAILED),
    ],
)
def test_the_table_decides_the_outcome(
    stored: RowMetadata | None, failed: frozenset[str], reembed: bool, expected: ImageOutcome
) -> None:
    assert outcome(IMAGE, stored, failed, Expectation("r", MODEL, ASKED if reembed else None)) is expected


class StaleTable:
    """A table whose eventually consistent reads show `before`, and whose strongly consistent ones `now`."""

    def __init__(self, before: list[RowMetadata], now: list[RowMetadata]) -> None:
        self._rows = {
            consistent: {row.image_id: row for row in rows} for consistent, rows in ((False, before), (True, now))
        }
        self.asked: dict[bool, list[str]] = {False: [], True: []}

    def metadata(self, image_ids: Iterable[str], *, consistent: bool) -> Iterator[dict[str, RowMetadata]]:
        ids = list(image_ids)
        self.asked[consistent] += ids
        yield {name: self._rows[consistent][name] for name in ids if name in self._rows[consistent]}


def test_only_what_would_be_missing_or_wrong_is_read_strongly_consistent() -> None:
    images = [ShardImage(name, 1, "e", name) for name in ("right", "unseen", "older", "gone", "failed")]
    now = [row(name="right"), row(name="unseen"), row(name="older")]
    table = StaleTable([row(name="right"), row(name="older", etag="before"), row(name="gone", etag="before")], now)
    rows = read_rows(table, images, {"failed"}, EXPECTED)
    assert rows == {one.image_id: one for one in now}
    assert table.asked == {False: ["right", "unseen", "older", "gone", "failed"], True: ["unseen", "older", "gone"]}


def test_a_shard_that_went_well_needs_no_strongly_consistent_read() -> None:
    table = StaleTable([row()], [])
    assert read_rows(table, [IMAGE], NO_IDS, EXPECTED) == {"a.jpg": row()}
    assert table.asked[True] == []


class ItemTable(StaleTable):
    """A StaleTable that also gives whole rows: those of `zeros` have vectors of zeros."""

    zeros: frozenset[str] = frozenset()

    def items(self, image_ids: Iterable[str]) -> Iterator[VectorItem]:
        for name in image_ids:
            vector = bytes(4) if name in self.zeros else b"\x00\x00\x80\x3f"
            yield VectorItem(name, vector, "float32", 1, ASKED, name, "e", MODEL, "r")


def test_the_index_is_held_against_the_rows_and_what_differs_is_read_again() -> None:
    names = ("right", "lacking", "older", "again", "zeros")
    now = [row(name=name, created="now") for name in names]
    table = ItemTable([], now)
    table.zeros = frozenset({"zeros"})
    held = {one.image_id: entry_of(one) for one in now if one.image_id in ("right", "older", "again")}
    held["older"] = replace(held["older"], created="before")
    rows = {one.image_id: one for one in now}
    # Written again after VerifyShard read it, and before it read the index.
    rows["again"] = row(name="again", created="before")
    verdict = compare(MemoryIndex(held), table, rows)
    assert verdict == IndexVerdict({"lacking", "older"}, {"zeros"})
    assert table.asked == {False: [], True: ["lacking", "older", "again", "zeros"]}


def test_an_index_that_has_everything_needs_no_second_look() -> None:
    table = ItemTable([], [])
    assert compare(MemoryIndex({"a.jpg": entry_of(row())}), table, {"a.jpg": row()}) == NO_INDEX
    assert table.asked[True] == []


def test_an_image_whose_vector_is_not_in_the_index_is_missing() -> None:
    lacking = replace(EXPECTED, not_indexed={"a.jpg"})
    assert outcome(IMAGE, row(), NO_IDS, lacking) is ImageOutcome.MISSING
    assert outcome(IMAGE, row(), {"a.jpg"}, lacking) is ImageOutcome.FAILED
    verdict = verify([IMAGE], {"a.jpg": row()}, (), lacking)
    assert (verdict.found, verdict.missing_sample) == (1, ("a.jpg",))


def test_what_the_index_has_is_told_only_where_there_is_one() -> None:
    tally = Tally(has_index=True)
    tally.add_sharding(ShardingStep((), (), 3, 0))
    entry, verified, report = shard(0, embedded=2, missing=1)
    tally.add_shard(entry, replace(verified, indexed=2), replace(report, index_puts=1, index_bytes=9))
    assert (tally.indexed, tally.index_puts, tally.index_bytes) == (5, 1, 9)
    assert ", found 5, indexed 5." in tally.message(0, ListingCounts())
    without = Tally()
    without.add_sharding(ShardingStep((), (), 3, 0))
    without.add_shard(entry, verified, report)
    assert "indexed" not in without.message(0, ListingCounts())
    for record in (verified, report):
        assert not {name for name in codec.to_document(record) if "index" in name}


def test_a_shard_is_counted() -> None:
    images = [ShardImage(name, 1, "e", name) for name in ("ours", "theirs", "stale", "gone", "bad")]
    metadata = {
        "ours": row(name="ours"),
        "theirs": row(name="theirs", run="other"),
        "stale": row(name="stale", etag="x"),
    }
    twice = [ImageFailure(name, name, FailureReason.EMPTY, "m") for name in ("bad", "bad", "of another shard")]
    verdict = verify(images, metadata, twice, EXPECTED)
    assert verdict.failures == (replace(twice[0], etag="e"),)
    assert verdict.outcomes == {
        ImageOutcome.EMBEDDED: 1,
        ImageOutcome.UNCHANGED: 1,
        ImageOutcome.MISSING: 2,
        ImageOutcome.FAILED: 1,
    }
    assert (verdict.found, verdict.wrong, verdict.missing_sample) == (2, 1, ("stale", "gone"))


def failures(count: int, reason: FailureReason = FailureReason.TRUNCATED) -> tuple[ImageFailure, ...]:
    return tuple(ImageFailure(f"bad-{number}.jpg", f"bad-{number}.jpg", reason, "m") for number in range(count))


def shard(
    number: int, *, embedded: int = 0, unchanged: int = 0, failed: int = 0, missing: int = 0, error: str = ""
) -> tuple[ShardEntry, VerifiedShard, ShardReport]:
    total = embedded + unchanged + failed + missing
    verified = VerifiedShard(
        run="r",
        shard=number,
        images=total,
        embedded=embedded,
        unchanged=unchanged,
        failed=failed,
        missing=missing,
        found=embedded + unchanged,
        wrong=0,
        missing_sample=tuple(f"missing-{number}" for number in range(missing)),
        read_units=1.0,
        error=error,
        failures=failures(failed),
    )
    report = ShardReport(
        run="r",
        shard=number,
        images=total,
        embedded=embedded,
        unchanged=unchanged,
        failures=failures(failed),
        model=MODEL,
        vector_type="float32",
        attempt=1,
        started="2026-11-22T00:00:00+00:00",
        seconds=2.0,
        stages=StageSeconds(1, 2, 3, 4),
        downloaded_bytes=5,
        write_units=3.0 * embedded,
        read_units=1.0,
        peak_memory_mb=1,
        host="h",
    )
    return ShardEntry(number, f"s3://work/{number}", total), verified, report


def test_images_of_one_colour_are_counted_up_to_what_the_table_proves() -> None:
    tally = Tally()
    for number, (embedded, uniform) in enumerate([(5, 3), (2, 9), (4, 0)]):
        entry, verified, report = shard(number, embedded=embedded)
        keys = tuple(f"{number}-{position}" for position in range(15))
        tally.add_shard(entry, verified, replace(report, uniform=uniform, uniform_sample=keys[:uniform]))
    entry, _, report = shard(3, embedded=4)
    tally.add_shard(entry, None, replace(report, uniform=4))
    assert (tally.uniform, tally.uniform_sample[2:4]) == (5, ["0-2", "1-0"])
    assert ", found 11, uniform 5." in tally.message(0, ListingCounts(listed=15))
    for _ in range(5):
        entry, verified, report = shard(4, embedded=20)
        tally.add_shard(entry, verified, replace(report, uniform=20, uniform_sample=("k",) * 20))
    assert (tally.uniform, len(tally.uniform_sample)) == (105, 20)


def test_a_report_without_images_of_one_colour_is_what_older_versions_write_and_read() -> None:
    _, _, report = shard(0, embedded=2)
    document = codec.to_document(report)
    assert not {name for name in document if name.startswith("uniform")}
    assert codec.from_document(ShardReport, document, where="report").uniform == 0
    some = codec.to_document(replace(report, uniform=1, uniform_sample=("a",)))
    assert codec.from_document(ShardReport, some, where="report").uniform_sample == ("a",)


COUNTS = st.tuples(*[st.integers(0, 5)] * 4)


@given(
    st.lists(st.tuples(COUNTS, st.booleans())),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_listed_is_always_the_sum_of_its_outcomes(
    shards: list[tuple[tuple[int, ...], bool]], unchanged: int, refused: int, before: int, lost: int
) -> None:
    tally = Tally()
    tally.add_sharding(ShardingStep((), failures(refused), unchanged, 2, failures(before)))
    listed = unchanged + refused + before + 2
    for number, (counts, is_verified) in enumerate(shards):
        embedded, same, failed, missing = counts
        entry, verified, report = shard(number, embedded=embedded, unchanged=same, failed=failed, missing=missing)
        listed += entry.images
        tally.add_shard(entry, verified if is_verified else None, report)
    tally.record_unaccounted(listed + lost)
    assert tally.listed == tally.embedded + tally.unchanged + tally.failed + tally.failed_before + tally.missing
    assert tally.failed_before == before == sum(tally.failed_before_by_reason.values())
    assert tally.listed == listed + lost - 2
    assert tally.missing >= lost
    assert tally.failed == sum(tally.failed_by_reason.values())
    assert tally.is_complete(10**9) == (tally.missing == 0)


def test_a_shard_that_was_not_verified_is_missing_whatever_its_worker_says() -> None:
    tally = Tally()
    entry, _, report = shard(3, embedded=5)
    tally.add_shard(entry, None, report)
    assert (tally.missing, tally.embedded, tally.shards_failed) == (5, 0, 1)
    assert "VerifyShard did not run" in tally.shard_errors["3"]


@pytest.mark.parametrize(("failed", "allowed", "complete"), [(0, 0, True), (1, 0, False), (2, 2, True), (3, 2, False)])
def test_failures_count_against_max_failures(failed: int, allowed: int, complete: bool) -> None:
    tally = Tally()
    tally.add_shard(*shard(0, embedded=1, failed=failed))
    assert tally.is_complete(allowed) is complete
    assert ("MaxFailures" in tally.message(allowed, ListingCounts())) is not complete


def state(listed: int, steps: int, shards: int) -> ShardingState:
    return ShardingState(
        run="r",
        started="2026-11-22T00:00:00.000Z",
        listing=ListingCounts(listed, 99, 2, {"txt": 2}),
        listing_files=1,
        counts=ShardingCounts(shards=shards),
        cursor=ShardingCursor("shard", 1, steps),
        shards_key="runs/r/shards.json",
        done=True,
    )


def test_the_run_report_adds_up_and_names_every_failure() -> None:
    store, layout = MemoryStore(), RunLayout("work", "r")
    parts = [shard(0, embedded=4, failed=1), shard(1, embedded=2, unchanged=1, missing=2, error="Host EC2 lost")]
    store.write(layout.input, json.dumps({**INPUT, "MaxFailures": 5}).encode())
    store.write_record(layout.shards, [entry for entry, _, _ in parts])
    conflict = failures(1, FailureReason.ID_CONFLICT)
    store.write_record(layout.sharding_step(0), ShardingStep(tuple(entry for entry, _, _ in parts), conflict, 3, 1))
    for entry, verified, shard_report in parts:
        store.write_record(layout.verified(entry.shard), verified)
        store.write_record(layout.shard_report(entry.shard), shard_report)
    report = verify_run(store, layout, state(15, 1, 2), PIPELINE)
    assert (report.listed, report.embedded, report.unchanged, report.failed, report.missing) == (14, 6, 4, 2, 2)
    assert (report.found, report.duplicates, report.ignored, report.complete) == (10, 1, 2, False)
    assert report.failed_by_reason == {"IdConflict": 1, "Truncated": 1}
    assert report.missing_sample == ("missing-0", "missing-1")
    assert "1 of 2 shards had an error: Host EC2 lost" in report.message
    assert report.stages == {"download": 2, "decode": 4, "embed": 6, "write": 8}
    assert report.cost.usage["write_units"] == 18
    lines = store.files["work", layout.failures.key].splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["IdConflict", "Truncated"]
    assert store.document(layout.report)["message"] == report.message


def test_a_job_that_failed_is_explained_in_one_line() -> None:
    cause = {
        "JobId": "j1",
        "StatusReason": "Host EC2 (instance i-1) terminated.",
        "Attempts": [{}, {"Container": {"ExitCode": 137, "LogStreamName": "worker/1"}}],
    }
    error = read_job_error({"Error": "States.TaskFailed", "Cause": json.dumps(cause)})
    assert error.text == (
        "States.TaskFailed: Host EC2 (instance i-1) terminated. "
        "(job j1, attempts 2, exit code 137, log stream worker/1)"
    )
    assert error.log_stream == "worker/1"
    assert error.with_last_words("Killed").endswith("worker/1) Killed")
    assert len(error.with_last_words("x" * 5000)) == ERROR_CHARACTERS


@pytest.mark.parametrize("cause", ["", "plain text", "{}", "[]", "3", '{"Attempts": []}', "x" * 5000])
def test_any_other_cause_is_quoted_and_bounded(cause: str) -> None:
    error = read_job_error({"Error": "States.Timeout", "Cause": cause})
    assert error.text.startswith("States.Timeout")
    assert len(error.text) <= ERROR_CHARACTERS
    assert error.log_stream == ""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["Killed"], "Killed"),
        (
            ['{"message": "a"}', '{"exception": "Traceback\\n  x\\nValueError: no"}', '{"message": "b"}'],
            "ValueError: no",
        ),
        (['{"exception": "E: old"}', '{"exception": "E: new"}', "[1]"], "E: new"),
    ],
)
def test_a_jobs_last_words_are_its_last_error_or_its_last_line(lines: list[str], words: str) -> None:
    assert pick(lines) == words
