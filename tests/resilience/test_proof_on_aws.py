"""`make proof-on-aws`: its flow, rehearsed on the embedded AWS; whatever happens, what it deployed goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from resilience.proof_on_aws.__main__ import prove
from resilience.proof_on_aws.checks import CHECKS
from resilience.proof_on_aws.embedded import embedded_account
from resilience.proof_on_aws.findings import Finding, NotHere, Verdict, table
from resilience.proof_on_aws.places import Place
from resilience.proof_on_aws.subject import Subject


class FakePlace:
    """Notes what is done with it."""

    name, where, image_for_jobs, mid_run_shards = "Proof", "nowhere", "", 1

    def __init__(self, *, fails: bool = False) -> None:
        self.done: list[str] = []
        self._fails = fails

    def client(self, service: str) -> Any:
        raise AssertionError(service)

    def prepare(self, settings: Any) -> None: ...

    def deploy(self, settings: Any) -> Any:
        self.done.append("deploy")
        if self._fails:
            raise RuntimeError("half of it is there")

    def destroy(self) -> None:
        self.done.append("destroy")


def answers(check: str, verdict: Verdict = Verdict.AS_EXPECTED) -> Any:
    def ask(subject: Subject) -> Iterator[Finding]:
        yield Finding(check, "?", "", "", verdict)

    return ask


def fails(subject: Subject) -> Iterator[Finding]:
    """A question."""
    yield Finding("fails", "?", "", "the first half", Verdict.NOTED)
    raise ValueError("no such thing")


def is_not_here(subject: Subject) -> Iterator[Finding]:
    """A question."""
    raise NotHere("there is none")
    yield


def quiet(_: str) -> None: ...


def test_a_check_that_fails_is_an_answer_and_the_next_one_is_asked() -> None:
    place: Place = FakePlace()
    found = prove(place, quiet, {"fails": fails, "not here": is_not_here, "last": answers("last")})
    assert [(one.check, one.found, one.verdict) for one in found] == [
        ("fails", "the first half", Verdict.NOTED),
        ("fails", "ValueError: no such thing", Verdict.FAILED),
        ("not here", "there is none", Verdict.NOT_HERE),
        ("last", "", Verdict.AS_EXPECTED),
    ]


@pytest.mark.parametrize("checks", [{"last": answers("last")}, {"removal": fails}, {"removal": answers("removal")}])
def test_what_was_deployed_is_removed_whatever_was_asked(checks: Any) -> None:
    place = FakePlace()
    prove(place, quiet, checks)
    # The removal is a check, too; one that fails is made up for.
    removes_itself = checks.keys() == {"removal"} and checks["removal"] is not fails
    assert place.done == (["deploy"] if removes_itself else ["deploy", "destroy"])


def test_what_is_left_of_a_deployment_that_failed_is_removed() -> None:
    place = FakePlace(fails=True)
    with pytest.raises(RuntimeError, match="half of it"):
        prove(place, quiet)
    assert place.done == ["deploy", "destroy"]


def test_an_interruption_removes_it_too() -> None:
    def interrupted(subject: Subject) -> Iterator[Finding]:
        raise KeyboardInterrupt
        yield

    place = FakePlace()
    with pytest.raises(KeyboardInterrupt):
        prove(place, quiet, {"any": interrupted})
    assert place.done == ["deploy", "destroy"]


def test_the_table_is_markdown_whatever_was_found() -> None:
    text = table([Finding("c", "q?", "e", "a | b\n" + "x" * 2_000, Verdict.DIFFERS)], "somewhere")
    row = next(line for line in text.splitlines() if line.startswith("| c "))
    assert r"a \| b xxx" in row
    assert len(row) < 700
    assert "1 answers: 0 as expected, 1 differs" in text


def test_the_flow_on_the_embedded_aws() -> None:
    with embedded_account("StepvecProof") as place:
        found = prove(place, quiet)
    assert [check for check, _ in itertools.groupby(found, key=lambda one: one.check)] == list(CHECKS)
    # There is no ECS agent, and children of a Map are no executions of their own.
    not_here = [one.check for one in found if one.verdict is Verdict.NOT_HERE]
    assert not_here == ["job environment", "terminated jobs"]
    assert [one for one in found if one.verdict not in (Verdict.AS_EXPECTED, Verdict.NOT_HERE)] == []
