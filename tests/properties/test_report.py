"""The report's arithmetic: listed = embedded + unchanged + failed + missing, whatever became of the shards' files."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lambdas.verify_run.aggregator import verify_run
from lambdas.verify_run.cost import Pipeline
from lambdas.verify_run.tally import Tally
from lambdas.verify_shard.verifier import Expectation, ImageOutcome, outcome, verify
from stepvec.errors import RecordError
from stepvec.estimate.capacity import Capacity
from stepvec.rows.item import RowMetadata
from stepvec.runs.known_failures import KnownFailures, known_failures_uri
from stepvec.runs.listing import ShardImage
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import RunReport, ShardReport, StageSeconds, VerifiedShard
from stepvec.runs.run_input import parse_normal_form
from stepvec.runs.steps import ListingCounts, ShardEntry, ShardingCounts, ShardingCursor, ShardingState, ShardingStep
from tests.fakes import LAYOUT, MODEL, MemoryStore
from tests.properties.strategies import PROPERTY

CAPACITY = Capacity("cpu", 4, 1, ("c7i",), 30, spot=True, shard_size=5, vcpu_hour_usd=0.03)
PIPELINE = Pipeline("images", "table", MODEL, "float32", CAPACITY)

Row = Literal["none", "of this run", "of another run", "of an older object", "of another model"]
Said = Literal["nothing", "failed", "failed twice"]
Late = Literal["as it was", "lost", "failures it did not have", "without its failures"]


@dataclass(frozen=True)
class Shard:
    """What became of one shard: each image's row and what the worker said of it, and what became of the files."""

    images: tuple[tuple[Row, Said], ...]
    is_reported: bool
    is_verified: bool
    late: Late
    """The worker's report when VerifyRun reads it: another attempt may have written it again, or lost it."""


@dataclass(frozen=True)
class Run:
    """Shards, and what ShardImages settled itself."""

    shards: tuple[Shard, ...]
    unchanged: int
    refused: int
    before: int
    """Images that are known to fail, and were left out."""
    duplicates: int
    forgotten: int
    """Images that were listed and that no shard has."""
    reembed: bool
    max_failures: int


ROWS = st.sampled_from(
    ["none", "of this run", "of this run", "of another run", "of an older object", "of another model"]
)
IMAGES = st.lists(
    st.tuples(ROWS, st.sampled_from(["nothing", "nothing", "failed", "failed twice"])), min_size=1, max_size=6
)
SHARDS = st.builds(
    Shard,
    IMAGES.map(tuple),
    st.sampled_from([True, True, False]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["as it was", "as it was", "lost", "failures it did not have", "without its failures"]),
)
SMALL = st.integers(0, 2)
RUNS = st.builds(
    Run,
    st.lists(SHARDS, max_size=4).map(tuple),
    *[SMALL] * 4,
    st.sampled_from([0, 0, 1]),
    st.booleans(),
    SMALL,
)


def failure(name: str, reason: FailureReason = FailureReason.TRUNCATED) -> ImageFailure:
    return ImageFailure(name, name, reason, "m")


def metadata_of(name: str, row: Row) -> RowMetadata | None:
    right = RowMetadata(name, name, "e", MODEL, "r")
    return {
        "none": None,
        "of this run": right,
        "of another run": replace(right, run="before"),
        "of an older object": replace(right, etag="older"),
        "of another model": replace(right, model="another"),
    }[row]


class Written:
    """The run's files, as ShardImages, the worker and VerifyShard would have written them."""

    def __init__(self, run: Run) -> None:
        self.run, self.store = run, MemoryStore()
        self.outcomes: Counter[ImageOutcome] = Counter()
        entries = [self._write_shard(number, shard) for number, shard in enumerate(run.shards)]
        self.store.write(
            LAYOUT.input,
            json.dumps(
                {"Paths": ["a/"], "ImageId": "key", "ShardSize": 5, "Reembed": False, "MaxFailures": run.max_failures}
            ).encode(),
        )
        self.store.write_record(LAYOUT.shards, entries)
        refused = tuple(failure(f"refused-{number}", FailureReason.ID_CONFLICT) for number in range(run.refused))
        before = tuple(
            replace(failure(f"before-{number}", FailureReason.EMPTY), etag="e", failed_before=True)
            for number in range(run.before)
        )
        step = ShardingStep(tuple(entries), refused, run.unchanged, run.duplicates, before, worker="w")
        self.store.write_record(LAYOUT.sharding_step(0), step)
        self.in_shards = sum(entry.images for entry in entries)
        self.listed = self.in_shards + run.unchanged + run.refused + run.before + run.forgotten

    def _write_shard(self, number: int, shard: Shard) -> ShardEntry:
        names = [f"{number}-{position}" for position in range(len(shard.images))]
        times = {"nothing": 0, "failed": 1, "failed twice": 2}
        said = [name for name, (_, says) in zip(names, shard.images, strict=True) for _ in range(times[says])]
        failures = tuple(map(failure, [*said, "of another shard"]))
        metadata = {
            name: found for name, (row, _) in zip(names, shard.images, strict=True) if (found := metadata_of(name, row))
        }
        images = [ShardImage(name, 1, "e", name) for name in names]
        reported = failures if shard.is_reported else ()
        expected = Expectation("r", MODEL, datetime.now(UTC) if self.run.reembed else None)
        if shard.is_verified:
            verdict = verify(images, metadata, reported, expected)
            failed_ids = {one.image_id for one in reported}
            self.outcomes.update(outcome(image, metadata.get(image.key), failed_ids, expected) for image in images)
            counts: dict[str, Any] = {
                outcome.name.lower(): verdict.outcomes.get(outcome, 0) for outcome in ImageOutcome
            }
            verified = VerifiedShard(
                "r",
                number,
                len(images),
                **counts,
                found=verdict.found,
                wrong=verdict.wrong,
                missing_sample=verdict.missing_sample,
                read_units=1.0,
                error="",
                failures=verdict.failures,
            )
            self.store.write_record(LAYOUT.verified(number), verified)
        else:
            self.outcomes[ImageOutcome.MISSING] += len(images)
        self._write_report(number, shard, failures)
        return ShardEntry(number, str(LAYOUT.shard(number)), len(images))

    def _write_report(self, number: int, shard: Shard, failures: tuple[ImageFailure, ...]) -> None:
        late = {
            "as it was": failures if shard.is_reported else None,
            "lost": None,
            "failures it did not have": (*failures, *(failure(f"{number}-{position}") for position in range(9))),
            "without its failures": (),
        }[shard.late]
        if late is not None:
            self.store.write_record(LAYOUT.shard_report(number), report(number, len(shard.images), late))

    def verify(self) -> RunReport:
        state = ShardingState(
            run="r",
            started="2026-11-25T00:00:00.000Z",
            listing=ListingCounts(listed=self.listed + self.run.duplicates),
            listing_files=1,
            counts=ShardingCounts(shards=len(self.run.shards)),
            cursor=ShardingCursor("shard", 1, 1),
            shards_key=LAYOUT.shards.key,
            done=True,
        )
        return verify_run(self.store, LAYOUT, state, PIPELINE)


def report(number: int, images: int, failures: tuple[ImageFailure, ...]) -> ShardReport:
    return ShardReport(
        run="r", shard=number, images=images, embedded=images, unchanged=0, failures=failures, model=MODEL,
        vector_type="float32", attempt=1, started="2026-11-25T00:00:00+00:00", seconds=1.0,
        stages=StageSeconds(1, 1, 1, 1), downloaded_bytes=1, write_units=1.0, read_units=1.0, peak_memory_mb=1,
        host="h",
    )  # fmt: skip


@PROPERTY
@given(RUNS)
def test_every_image_is_counted_once_whatever_became_of_the_files(run: Run) -> None:
    written = Written(run)
    answer = written.verify()
    event(f"complete: {answer.complete}")
    assert answer.listed == written.listed
    assert answer.listed == (answer.embedded + answer.unchanged + answer.failed + answer.failed_before + answer.missing)
    assert answer.failed_before == run.before == sum(answer.failed_before_by_reason.values())
    assert answer.embedded == written.outcomes[ImageOutcome.EMBEDDED]
    assert answer.unchanged == written.outcomes[ImageOutcome.UNCHANGED] + run.unchanged
    assert answer.failed == written.outcomes[ImageOutcome.FAILED] + run.refused
    assert answer.missing == written.outcomes[ImageOutcome.MISSING] + run.forgotten
    assert answer.complete == (answer.missing == 0 and answer.failed <= run.max_failures)
    assert answer.embedded + answer.unchanged <= answer.found <= answer.listed
    if answer.missing == 0:
        assert answer.found == answer.embedded + answer.unchanged


@PROPERTY
@given(RUNS)
def test_every_failure_is_named_once_with_its_reason(run: Run) -> None:
    written = Written(run)
    answer = written.verify()
    lines = [json.loads(line) for line in written.store.files["work", LAYOUT.failures.key].splitlines()]
    assert len(lines) == len({line["key"] for line in lines}) == answer.failed + answer.failed_before
    new = [line for line in lines if not line["failed_before"]]
    assert answer.failed_by_reason == dict(Counter(line["reason"] for line in new))
    assert len(new) == answer.failed


@PROPERTY
@given(RUNS)
def test_what_failed_for_a_lasting_reason_is_known_afterwards(run: Run) -> None:
    written = Written(run)
    written.verify()
    lines = [json.loads(line) for line in written.store.files["work", LAYOUT.failures.key].splitlines()]
    lasting = {line["key"] for line in lines if line["reason"] in ("Truncated", "Empty")}
    run_input = parse_normal_form(written.store.files["work", LAYOUT.input.key], where="input.json")
    uri = known_failures_uri("work", run_input)
    assert uri is not None
    assert ("work", uri.key) in written.store.files or not lasting
    if lasting:
        known = KnownFailures(io.BytesIO(written.store.files["work", uri.key]), worker="w")
        assert {line["key"] for line in lines if known.reason(line["key"], "e")} == lasting


@PROPERTY
@given(RUNS, st.integers(1, 3))
def test_an_image_counted_twice_never_hides_one_that_is_missing(run: Run, surplus: int) -> None:
    written = Written(run)
    written.listed -= run.forgotten + surplus
    with pytest.raises(RecordError, match="do not add up"):
        written.verify()


@PROPERTY
@given(st.lists(SHARDS, min_size=1, max_size=3), st.integers(1, 3))
def test_a_shard_that_counts_more_images_than_it_has_is_refused(shards: list[Shard], surplus: int) -> None:
    written = Written(
        Run((*(replace(shard, is_verified=True) for shard in shards),), 0, 0, 0, 0, 0, reembed=False, max_failures=9)
    )
    verified = written.store.read_record(VerifiedShard, LAYOUT.verified(0))
    entry = ShardEntry(0, str(LAYOUT.shard(0)), verified.images)
    too_many = replace(verified, embedded=verified.embedded + verified.missing + surplus)
    with pytest.raises(RecordError, match="do not add up"):
        Tally().add_shard(entry, too_many, None)
