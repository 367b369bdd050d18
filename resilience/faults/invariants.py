"""The invariant: each listed image has one outcome, each row is right, and the report says what the table holds.

Pure: what was observed comes in, what is wrong comes out. An image that is neither stored nor failed may be missing
only in a run that fails and counts it; `check_rerun` then demands that the next run does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from resilience.faults.index_invariants import doubled, miscounted, not_indexed, without_row
from stepvec.errors import RecordError
from stepvec.rows.item import VectorItem, decode_item
from stepvec.rows.vectors import decode_vector
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import RunReport

COSINE: Final = 0.999_999
"""A vector that is not bitwise that of the clean run must be as close as this."""
SUCCEEDED: Final = "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known beforehand.

    vectors: the row of a clean run by the ETag of what was embedded. etags: all that each key has ever been.
    is_sample: the clean run was of some of the images; the vectors of the others are only decoded.
    """

    model: str
    vectors: Mapping[str, VectorItem]
    etags: Mapping[str, Set[str]]
    is_sample: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """One run, after its end. `report` and `listed` are None and empty where it did not come so far."""

    run: str
    status: str
    listed: tuple[ListedImage, ...]
    rows: tuple[Mapping[str, Any], ...]
    failures: tuple[ImageFailure, ...]
    report: RunReport | None
    vectors: tuple[Mapping[str, Any], ...] | None = None
    """What the index of S3 Vectors holds, as ListVectors gives it; None where there is none."""


@dataclass(slots=True)
class Verdict:
    """What is wrong, a line each. `pending` are the keys that the run left to the next one."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.wrong or self.duplicated)


def check(observed: Observed, truth: Truth, *, may_fail: Set[FailureReason]) -> Verdict:
    """Hold a run against the truth. `may_fail` are the reasons for which an image may fail in it."""
    verdict = Verdict()
    stored = _check_rows(observed.rows, truth, verdict)
    failed = _check_failures(observed, may_fail, verdict)
    right = {image.key for image in observed.listed if stored.get(image.key) == image.etag}
    for key, count in Counter(image.key for image in observed.listed).items():
        if count > 1:
            verdict.duplicated.append(f"{key} is listed {count} times")
    for key in sorted(right & failed):
        verdict.duplicated.append(f"{key} has a row and a failure")
    verdict.pending = {image.key for image in observed.listed} - right - failed
    if observed.vectors is not None:
        _check_index(observed, observed.vectors, right - failed, verdict)
    if observed.report is None:
        _check_unreported(observed, verdict)
    else:
        _check_report(observed, observed.report, embedded=right - failed, failed=failed, verdict=verdict)
    return verdict


def check_rerun(after: Verdict, written: Mapping[str, int], *, due: Set[str]) -> Verdict:
    """Hold a run without faults against what it had to do: `due`, and nothing else.

    `written` counts how often it wrote each row, `due` are the keys whose object had no row of its ETag before.
    """
    verdict = Verdict()
    for key in sorted(after.pending):
        verdict.lost.append(f"{key} has neither row nor failure after a run without faults")
    for key, count in sorted(written.items()):
        if key not in due:
            verdict.duplicated.append(f"{key} was written again, though its row was right")
        elif count > 1:
            verdict.duplicated.append(f"{key} was written {count} times by one run without faults")
    return verdict


def _check_rows(rows: Iterable[Mapping[str, Any]], truth: Truth, verdict: Verdict) -> dict[str, str]:
    """ETags of the rows that are right, by key."""
    stored: dict[str, str] = {}
    for item in rows:
        try:
            row = decode_item(item)
        except RecordError as error:
            verdict.wrong.append(str(error))
            continue
        if row.key != row.image_id or row.etag not in truth.etags.get(row.key, ()):
            verdict.wrong.append(f"the row of {row.image_id} is of no image that there ever was")
        elif row.model != truth.model:
            verdict.wrong.append(f"the row of {row.image_id} is of the model {row.model}")
        elif not _is_right_vector(row, truth):
            verdict.wrong.append(f"the row of {row.image_id} has the vector of something else")
        elif row.key in stored:
            verdict.duplicated.append(f"{row.image_id} has two rows")
        else:
            stored[row.key] = row.etag
    return stored


def _is_right_vector(row: VectorItem, truth: Truth) -> bool:
    if truth.is_sample and row.etag not in truth.vectors:
        return bool(np.isfinite(decode_vector(row)).all())
    return _is_vector_of(row, truth.vectors[row.etag])


def _is_vector_of(row: VectorItem, expected: VectorItem) -> bool:
    if row.vector == expected.vector and row.data_type == expected.data_type:
        return True
    first, second = decode_vector(row).astype(np.float64), decode_vector(expected).astype(np.float64)
    if first.shape != second.shape or not np.isfinite(first).all():
        return False
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return norms > 0 and float(first @ second) / norms >= COSINE


def _check_failures(observed: Observed, may_fail: Set[FailureReason], verdict: Verdict) -> set[str]:
    listed = {image.key for image in observed.listed}
    for key, count in Counter(failure.key for failure in observed.failures).items():
        if count > 1:
            verdict.duplicated.append(f"{key} failed {count} times")
        if key not in listed:
            verdict.wrong.append(f"{key} failed, and was not listed")
    for failure in observed.failures:
        if failure.reason not in may_fail:
            verdict.wrong.append(f"{failure.key} failed: {failure.reason}, {failure.message}")
    return {failure.key for failure in observed.failures}


def _check_index(
    observed: Observed, vectors: tuple[Mapping[str, Any], ...], embedded: set[str], verdict: Verdict
) -> None:
    """A run that succeeded has left every vector in the index; one that failed may have left some to the next."""
    verdict.duplicated += doubled(vectors)
    verdict.wrong += without_row(observed.rows, vectors)
    if observed.status == SUCCEEDED:
        verdict.lost += not_indexed(observed.rows, vectors, embedded)
    if observed.report is not None:
        verdict.wrong += miscounted(observed.report)


def _check_unreported(observed: Observed, verdict: Verdict) -> None:
    """A run that ended before its report must have failed, and so says that all is to do again."""
    if observed.status == SUCCEEDED:
        verdict.lost += [f"{key} is missing, and the run succeeded without a report" for key in verdict.pending]
        verdict.wrong.append(f"{observed.run} succeeded without a report")


def _check_report(
    observed: Observed, report: RunReport, *, embedded: set[str], failed: set[str], verdict: Verdict
) -> None:
    missing = len(verdict.pending)
    expected = {
        "listed": len(observed.listed),
        "embedded + unchanged": len(embedded),
        "found": len(embedded),
        "failed": len(failed),
        "missing": missing,
        "sum": report.listed,
    }
    said = {
        "listed": report.listed,
        "embedded + unchanged": report.embedded + report.unchanged,
        "found": report.found,
        "failed": report.failed,
        "missing": report.missing,
        "sum": report.embedded + report.unchanged + report.failed + report.missing,
    }
    for name, count in expected.items():
        if said[name] != count:
            verdict.wrong.append(f"the report of {observed.run} says {name} {said[name]}, counted {count}")
    if report.missing < missing:
        verdict.lost += [f"{key} may be missing: the report counts too few" for key in sorted(verdict.pending)]
    is_complete = missing == 0 and len(failed) <= report.max_failures
    if report.complete != is_complete:
        verdict.wrong.append(f"the report of {observed.run} says complete {report.complete}: {report.message}")
    if observed.status == SUCCEEDED and not is_complete:
        verdict.wrong.append(f"{observed.run} succeeded, and is not complete: {report.message}")
