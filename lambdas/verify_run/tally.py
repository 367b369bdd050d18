"""Adding up the shards of a run: pure arithmetic on records."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from stepvec.errors import RecordError
from stepvec.runs.links import execution_link
from stepvec.runs.outcome import ImageFailure
from stepvec.runs.reports import MISSING_NAMED, UNIFORM_NAMED, IncompleteShard, ShardReport, VerifiedShard
from stepvec.runs.steps import ListingCounts, ShardEntry, ShardingStep, summary_of_ignored

SHARD_ERRORS_NAMED: Final = 20
"""Shards whose error the report quotes; all are in verified/."""
INCOMPLETE_SHARDS_NAMED: Final = 100
"""Shards that the report names with links."""
NOT_VERIFIED: Final = "VerifyShard did not run for this shard: see its child execution."


@dataclass(slots=True)
class Tally:
    """Counts added up so far. Invariant: listed = embedded + unchanged + failed + failed_before + missing."""

    listed: int = 0
    embedded: int = 0
    unchanged: int = 0
    failed: int = 0
    failed_before: int = 0
    missing: int = 0
    found: int = 0
    wrong: int = 0
    duplicates: int = 0
    read_units: float = 0.0
    """Of ShardImages, the workers and VerifyShard, as DynamoDB charged them."""
    are_sharding_reads_counted: bool = True
    """Whether each step of ShardImages told its read units; those of an older version did not."""
    write_units: float = 0.0
    job_seconds: float = 0.0
    """Of jobs that reported how long they took and ran once."""
    retried: int = 0
    retried_ends: float = 0.0
    """When the last attempts of retried jobs ended: seconds since 1970, added up."""
    unreported: int = 0
    verify_seconds: float = 0.0
    to_embed: int = 0
    downloads: int = 0
    shards: int = 0
    shards_failed: int = 0
    failed_by_reason: Counter[str] = field(default_factory=Counter)
    failed_before_by_reason: Counter[str] = field(default_factory=Counter)
    stages: dict[str, float] = field(default_factory=dict)
    shard_errors: dict[str, str] = field(default_factory=dict)
    missing_sample: list[str] = field(default_factory=list)
    uniform: int = 0
    uniform_sample: list[str] = field(default_factory=list)
    incomplete_shards: list[IncompleteShard] = field(default_factory=list)
    indexed: int = 0
    not_indexable: int = 0
    index_puts: int = 0
    index_bytes: int = 0
    has_index: bool = False
    """Whether the deployment has an index of S3 Vectors: without one the four before are 0, and nobody is told."""

    def add_sharding(self, step: ShardingStep) -> None:
        """Add what ShardImages decided itself. It found the unchanged rows in the table, by key."""
        self.listed += step.unchanged + len(step.refused) + len(step.failed_before)
        self.unchanged += step.unchanged
        self.found += step.unchanged
        # ShardImages counts as unchanged only what the index has, too.
        self.indexed += step.unchanged if self.has_index else 0
        self.duplicates += step.duplicates
        self.read_units += step.read_units or 0.0
        self.are_sharding_reads_counted &= step.read_units is not None
        self._add_failures(step.refused)
        self.failed_before += len(step.failed_before)
        self.failed_before_by_reason.update(failure.reason.value for failure in step.failed_before)

    def add_shard(self, entry: ShardEntry, verified: VerifiedShard | None, report: ShardReport | None) -> None:
        """Add one shard. All images of a shard that was not verified are missing, whatever its worker reported.

        Raises RecordError where VerifyShard counted more images than the shard has.
        """
        self.shards += 1
        self.listed += entry.images
        self._add_job(report)
        self.to_embed += entry.images
        if verified is None:
            self.missing += entry.images
            self._add_error(entry.shard, NOT_VERIFIED)
            self._name(IncompleteShard(entry.shard, entry.images, entry.images, NOT_VERIFIED, "", ""))
            return
        # What is missing is computed, so that the sum holds whatever the shard's files say.
        missing = entry.images - verified.embedded - verified.unchanged - len(verified.failures)
        if missing < 0:
            raise _surplus(f"shard {entry.shard} has {entry.images} images, and {-missing} more were counted")
        self.embedded += verified.embedded
        self.unchanged += verified.unchanged
        self.missing += missing
        self._add_failures(verified.failures)
        self.found += verified.found
        self.wrong += verified.wrong
        self.read_units += verified.read_units
        self.verify_seconds += verified.seconds
        self.indexed += verified.indexed
        self.not_indexable += verified.not_indexable
        if report is not None:
            self.read_units += report.read_units
            self.write_units += report.write_units
            self.index_puts += report.index_puts
            self.index_bytes += report.index_bytes
            # The worker's word, and never more than what the table proves.
            self.uniform += min(report.uniform, verified.embedded)
            self.uniform_sample += report.uniform_sample[: UNIFORM_NAMED - len(self.uniform_sample)]
            self.downloads += report.embedded + len(report.failures)
            for stage, seconds in dataclasses.asdict(report.stages).items():
                self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        self.missing_sample += verified.missing_sample[: MISSING_NAMED - len(self.missing_sample)]
        if verified.error:
            self._add_error(entry.shard, verified.error)
        if verified.error or missing:
            link = execution_link(verified.execution)
            self._name(IncompleteShard(entry.shard, entry.images, missing, verified.error, link, verified.log))

    def record_unaccounted(self, listed: int) -> None:
        """Compare the sum with what ListImages counted: an image that no shard knows is missing too.

        Raises RecordError if more are accounted for than were listed: one counted twice would hide one missing.
        """
        unknown = listed - self.duplicates - self.listed
        if unknown < 0:
            raise _surplus(f"{listed} images were listed, and {-unknown} more were accounted for")
        self.missing += unknown
        self.listed += unknown

    def job_seconds_at_most(self, sharded: datetime, finished: datetime) -> float:
        """Upper bound of all jobs' seconds. One that was retried or never reported counts from its earliest start.

        That is `sharded`, when the last shard was written; it ended before `finished`.
        """
        retried = self.retried_ends - self.retried * sharded.timestamp()
        unreported = self.unreported * (finished - sharded).total_seconds()
        return self.job_seconds + max(0.0, retried) + max(0.0, unreported)

    def _add_job(self, report: ShardReport | None) -> None:
        if report is None:
            self.unreported += 1
        elif report.attempt == 1:
            self.job_seconds += report.seconds
        else:
            self.retried += 1
            self.retried_ends += datetime.fromisoformat(report.started).timestamp() + report.seconds

    def _add_failures(self, failures: tuple[ImageFailure, ...]) -> None:
        self.failed += len(failures)
        self.failed_by_reason.update(failure.reason.value for failure in failures)

    def _add_error(self, shard: int, error: str) -> None:
        self.shards_failed += 1
        if len(self.shard_errors) < SHARD_ERRORS_NAMED:
            self.shard_errors[str(shard)] = error

    def _name(self, shard: IncompleteShard) -> None:
        if len(self.incomplete_shards) < INCOMPLETE_SHARDS_NAMED:
            self.incomplete_shards.append(shard)

    def is_complete(self, max_failures: int) -> bool:
        """Complete only if nothing is missing and no more images failed than the user allowed."""
        return self.missing == 0 and self.failed <= max_failures

    def message(self, max_failures: int, listing: ListingCounts) -> str:
        """The run's result in a sentence: the counts, and what to do where it is not complete."""
        before = f"failed before {self.failed_before}, " if self.failed_before else ""
        uniform = f", uniform {self.uniform}" if self.uniform else ""
        others = f", ignored {listing.ignored} ({summary_of_ignored(listing.ignored_by_suffix)})"
        counts = (
            f"listed {self.listed}, embedded {self.embedded}, unchanged {self.unchanged}, failed {self.failed}, "
            f"{before}missing {self.missing}, found {self.found}"
            f"{f', indexed {self.indexed}' if self.has_index else ''}{uniform}{others if listing.ignored else ''}."
        )
        if self.missing:
            error = next(iter(self.shard_errors.values()), "")
            because = f" {self.shards_failed} of {self.shards} shards had an error: {error}" if error else ""
            return f"{counts}{because} Start the same input again: only what is missing is done."
        if self.failed > max_failures:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.failed_by_reason.items()))
            images = "1 image" if self.failed == 1 else f"{self.failed} images"
            return (
                f"{counts} {images} failed ({reasons}) and MaxFailures is {max_failures}: failures.jsonl "
                f"names each. Repair or remove them, or allow them with MaxFailures."
            )
        return counts


def _surplus(what: str) -> RecordError:
    return RecordError(
        f"The counts do not add up: {what}.", remedy="A file of the run was changed: start the same input again."
    )
