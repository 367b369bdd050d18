"""The check itself, on observations that are broken on purpose: each must be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from resilience.faults.invariants import Observed, Truth, check, check_rerun
from stepvec.rows.indexed import encode_metadata, entry_of
from stepvec.rows.item import VectorItem, encode_item, metadata_of
from stepvec.runs.listing import ListedImage
from stepvec.runs.outcome import FailureReason, ImageFailure
from stepvec.runs.reports import RunCost, RunReport
from tests.fakes import MODEL

RUN = "run-1"
KEYS = [f"images/{number}.jpg" for number in range(4)]
ALLOWED = {FailureReason.CHANGED}


def etag(key: str, version: int = 1) -> str:
    return f"etag-{key}-{version}"


def row(key: str, /, *, version: int = 1, seed: str | None = None, **fields: Any) -> VectorItem:
    generator = np.random.default_rng(sum((seed or etag(key, version)).encode()))
    item = VectorItem(
        image_id=key,
        vector=generator.normal(size=512).astype("<f4").tobytes(),
        data_type="float32",
        dimension=512,
        created=datetime(2026, 11, 25, tzinfo=UTC),
        key=key,
        etag=etag(key, version),
        model=MODEL,
        run=RUN,
    )
    return replace(item, **fields)


TRUTH = Truth(
    model=MODEL,
    vectors={etag(key, version): row(key, version=version) for key in KEYS for version in (1, 2)},
    etags={key: {etag(key, 1), etag(key, 2)} for key in KEYS},
)


def report(**counts: Any) -> RunReport:
    fields: dict[str, Any] = {
        "run": RUN, "complete": True, "message": "", "listed": 4, "embedded": 4, "unchanged": 0, "failed": 0,
        "missing": 0, "found": 4, "wrong": 0, "duplicates": 0, "ignored": 0, "ignored_by_suffix": {},
        "failed_by_reason": {}, "max_failures": 0, "missing_sample": (), "shards": 1, "shards_failed": 0,
        "shard_errors": {}, "model": MODEL, "vector_type": "float32", "image_bucket": "i", "table": "t",
        "started": "", "finished": "", "seconds": 1.0, "images_per_second": 4.0, "stages": {}, "bytes": 40,
        "cost": RunCost(usage={}, usd={}, total_usd="unknown", prices=""), "input": {}, "planned": None,
    }  # fmt: skip
    return RunReport(**{**fields, **counts})


def items(*rows: VectorItem) -> tuple[Mapping[str, Any], ...]:
    return tuple(encode_item(item) for item in rows)


def observed(**changed: Any) -> Observed:
    """A run that did everything right, but for `changed`."""
    fields: dict[str, Any] = {
        "run": RUN,
        "status": "SUCCEEDED",
        "listed": tuple(ListedImage(key, 10, etag(key)) for key in KEYS),
        "rows": items(*(row(key) for key in KEYS)),
        "failures": (),
        "report": report(),
    }
    return Observed(**{**fields, **changed})


def failure(key: str, reason: FailureReason = FailureReason.CHANGED) -> ImageFailure:
    return ImageFailure(key, key, reason, "it was overwritten")


THREE = items(*(row(key) for key in KEYS[1:]))
INCOMPLETE = report(complete=False, embedded=3, found=3, missing=1)


def test_a_right_run_is_clean() -> None:
    verdict = check(observed(), TRUTH, may_fail=set())
    assert verdict.is_clean
    assert verdict.pending == set()


def test_a_run_that_fails_and_counts_what_is_missing_is_clean_and_leaves_it_to_the_next() -> None:
    verdict = check(observed(rows=THREE, status="FAILED", report=INCOMPLETE), TRUTH, may_fail=set())
    assert verdict.is_clean
    assert verdict.pending == {KEYS[0]}


def test_a_failure_that_is_allowed_is_an_outcome() -> None:
    failed = report(complete=False, embedded=3, found=3, failed=1)
    seen = observed(rows=THREE, status="FAILED", report=failed, failures=(failure(KEYS[0]),))
    verdict = check(seen, TRUTH, may_fail=ALLOWED)
    assert verdict.is_clean
    assert verdict.pending == set()


def test_a_vector_within_the_cosine_is_right() -> None:
    vector = np.frombuffer(row(KEYS[0]).vector, "<f4") * np.float32(1.0001)
    near = items(row(KEYS[0], vector=vector.astype("<f4").tobytes()), *(row(key) for key in KEYS[1:]))
    assert check(observed(rows=near), TRUTH, may_fail=set()).is_clean


@pytest.mark.parametrize(
    ("changed", "kind", "told"),
    [
        ({"rows": THREE}, "wrong", "says found 4, counted 3"),
        ({"rows": THREE}, "lost", "the report counts too few"),
        ({"rows": THREE, "report": INCOMPLETE}, "wrong", "succeeded, and is not complete"),
        ({"rows": THREE, "report": None}, "lost", "succeeded without a report"),
        ({"rows": items(row(KEYS[0], seed="another"), *(row(key) for key in KEYS[1:]))}, "wrong", "something else"),
        ({"rows": items(row(KEYS[0], model="other"), *(row(key) for key in KEYS[1:]))}, "wrong", "of the model other"),
        ({"rows": items(row(KEYS[0], etag="x"), *(row(key) for key in KEYS[1:]))}, "wrong", "no image that there ever"),
        ({"rows": items(row(KEYS[0], version=2), *(row(key) for key in KEYS[1:]))}, "lost", "may be missing"),
        ({"rows": items(*(row(key) for key in KEYS), row("images/ghost.jpg"))}, "wrong", "no image that there ever"),
        (
            {"rows": items(replace(row(KEYS[0]), key=KEYS[1]), *(row(key) for key in KEYS[1:]))},
            "wrong",
            "no image that there",
        ),
        ({"rows": items(*(row(key) for key in KEYS), row(KEYS[0]))}, "duplicated", "two rows"),
        ({"rows": ({"ImageId": {"S": KEYS[0]}}, *THREE)}, "wrong", "cannot be read"),
        ({"failures": (failure(KEYS[0]),)}, "duplicated", "a row and a failure"),
        ({"rows": THREE, "failures": (failure(KEYS[0]),) * 2}, "duplicated", "failed 2 times"),
        ({"failures": (failure("images/ghost.jpg"),)}, "wrong", "was not listed"),
        (
            {"rows": THREE, "failures": (failure(KEYS[0], FailureReason.TRUNCATED),)},
            "wrong",
            "failed: Truncated",
        ),
        ({"listed": tuple(ListedImage(key, 10, etag(key)) for key in [*KEYS, KEYS[0]])}, "duplicated", "listed 2"),
        ({"report": report(listed=5)}, "wrong", "says listed 5, counted 4"),
        ({"report": report(embedded=2, unchanged=1)}, "wrong", "says embedded + unchanged 3, counted 4"),
        ({"report": report(missing=-1)}, "wrong", "says missing -1, counted 0"),
        ({"report": report(failed=1)}, "wrong", "says failed 1, counted 0"),
        ({"report": report(complete=False)}, "wrong", "says complete False"),
    ],
)
def test_what_is_broken_is_seen(changed: dict[str, Any], kind: str, told: str) -> None:
    verdict = check(observed(**changed), TRUTH, may_fail=ALLOWED)
    assert any(told in line for line in getattr(verdict, kind)), verdict


@pytest.mark.parametrize(
    ("pending", "written", "kind", "told"),
    [
        ({KEYS[0]}, {KEYS[1]: 1}, "lost", "neither row nor failure"),
        (set(), {KEYS[1]: 1, KEYS[2]: 1}, "duplicated", f"{KEYS[2]} was written again"),
        (set(), {KEYS[1]: 2}, "duplicated", "written 2 times"),
    ],
)
def test_a_rerun_does_what_is_due_once_and_nothing_else(
    pending: set[str], written: dict[str, int], kind: str, told: str
) -> None:
    after = replace(check(observed(), TRUTH, may_fail=set()), pending=pending)
    verdict = check_rerun(after, written, due={KEYS[1]})
    assert any(told in line for line in getattr(verdict, kind)), verdict
    assert check_rerun(replace(after, pending=set()), {KEYS[1]: 1}, due={KEYS[1]}).is_clean


def vectors(*rows: VectorItem) -> tuple[Mapping[str, Any], ...]:
    """The rows' vectors, as an index lists them."""
    return tuple(
        {
            "key": item.image_id,
            "data": {"float32": np.frombuffer(item.vector, "<f4").tolist()},
            "metadata": encode_metadata(entry_of(metadata_of(item))),
        }
        for item in rows
    )


ALL = [row(key) for key in KEYS]


@pytest.mark.parametrize(
    ("held", "what"),
    [
        (vectors(*ALL[1:]), "is not in the index"),
        (vectors(*ALL[1:], replace(ALL[0], created=datetime(2026, 11, 24, tzinfo=UTC))), "of another row"),
        (vectors(*ALL[1:], replace(ALL[0], vector=ALL[1].vector)), "has other numbers in the index"),
        (vectors(*ALL, ALL[0]), "is 2 times in the index"),
        (vectors(*ALL, row("images/none.jpg")), "is in the index and has no row"),
    ],
)
def test_an_index_that_differs_from_the_table_is_seen(held: Any, what: str) -> None:
    right = check(observed(vectors=vectors(*ALL), report=report(indexed=4)), TRUTH, may_fail=set())
    assert right.is_clean
    verdict = check(observed(vectors=held, report=report(indexed=4)), TRUTH, may_fail=set())
    (line,) = verdict.lost + verdict.wrong + verdict.duplicated
    assert what in line


def test_a_report_that_counts_too_few_vectors_is_seen() -> None:
    seen = observed(vectors=vectors(*ALL), report=report(indexed=3))
    assert check(seen, TRUTH, may_fail=set()).wrong == [f"the report of {RUN} says found 4 and indexed 3"]
