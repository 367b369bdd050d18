"""Model-based: random runs of the real state machine and the real handlers against an oracle of a page.

The oracle is written from docs/architecture.md, never from the definition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from tests.localaws.state_machine_world import Kind, Machine, Scenario, ShardScript, Trouble, World, machine

LAMBDA_RETRIES: Final = 6
THROTTLE_RETRIES: Final = 240
"""Of a function that is throttled: other invocations take their time."""
SUBMIT_RETRIES: Final = 10
ERRORS: Final = {
    "service": "Lambda.ServiceException",
    "throttled": "Lambda.TooManyRequestsException",
    "no answer": "Lambda.SdkClientException",
    "ran, no answer": "Lambda.SdkClientException",
    "refused": "Lambda.ResourceNotFoundException",
    "raised": "StorageError",
}
"""Step Functions' names of what goes wrong with a Lambda function. The last two are not the service's: no retry."""


@dataclass(frozen=True)
class Expected:
    """How a run must end. `counts` is None where the run ends before its report."""

    error: str | None
    counts: Counter[str] | None
    calls: Counter[str]


def attempts(trouble: Trouble, retries: int) -> tuple[int, bool]:
    """How often a call is tried, and whether it goes well in the end."""
    if trouble.times == 0:
        return 1, True
    if trouble.kind in ("refused", "raised"):
        return 1, False
    return min(trouble.times, retries) + 1, trouble.times <= retries


def invocations(trouble: Trouble) -> tuple[int, bool]:
    """How often a function is tried, and whether it goes well in the end."""
    return attempts(trouble, THROTTLE_RETRIES if trouble.kind == "throttled" else LAMBDA_RETRIES)


def predict(scenario: Scenario, shard_sizes: list[int]) -> Expected:
    """What docs/architecture.md says of this run, once its images are cut into shards of these sizes."""
    calls: Counter[str] = Counter()
    for function, troubles in (("ListImages", scenario.list_images), ("ShardImages", scenario.shard_images)):
        # When time is short, no function is done in one round.
        for number in range(2 if scenario.time_is_short else 1):
            calls[f"{function} {number}"], goes_well = invocations(troubles[number])
            if not goes_well:
                return Expected(ERRORS[troubles[number].kind], None, calls)
            if not scenario.images:
                return Expected("InvalidInput", None, calls)
    counts = Counter(listed=scenario.images, unchanged=scenario.stored, embedded=0, failed=0, missing=0)
    for number, images in enumerate(shard_sizes):
        script = scenario.shard(number)
        calls[f"SubmitJob {number}"], is_submitted = attempts(script.submit, SUBMIT_RETRIES)
        calls[f"VerifyShard {number}"], is_verified = invocations(script.verify)
        outcomes = {
            "embeds all": Counter(embedded=images),
            "some fail": Counter(failed=1, embedded=images - 1),
            "dies halfway": Counter(embedded=images // 2, missing=images - images // 2),
            "dies at the end": Counter(embedded=images),
            "another model": Counter(missing=images),
        }
        counts += outcomes[script.job] if is_submitted and is_verified else Counter(missing=images)
    calls["VerifyRun 0"], goes_well = invocations(scenario.verify_run)
    if not goes_well:
        return Expected(ERRORS[scenario.verify_run.kind], None, calls)
    is_complete = not counts["missing"] and counts["failed"] <= scenario.max_failures
    return Expected(None if is_complete else "Incomplete", counts, calls)


NONE: Final = Trouble(0, "service")
EMBEDS: Final = ShardScript(NONE, "embeds all", NONE)


def troubles(retries: int, *kinds: Any) -> st.SearchStrategy[Trouble]:
    """Mostly none; else few, as many as are retried, or one more."""
    some = st.builds(Trouble, st.sampled_from([1, 2, retries, retries + 1]), st.sampled_from(kinds))
    return st.just(NONE) | st.just(NONE) | some


ROUND: Final = st.one_of(
    *[troubles(LAMBDA_RETRIES, "service", "no answer", "ran, no answer", "raised", "refused")] * 4,
    troubles(THROTTLE_RETRIES, "throttled"),
)
MOSTLY_GOOD: Final = st.one_of(*[st.just(NONE)] * 4, ROUND)
SHARDS: Final = st.builds(
    ShardScript,
    troubles(SUBMIT_RETRIES, "service", "throttled", "refused"),
    st.sampled_from(
        ["embeds all", "embeds all", "some fail", "dies halfway", "dies at the end", "dies at the end", "another model"]
    ),
    ROUND,
)
GOOD_SHARDS: Final = st.sampled_from(
    [EMBEDS, ShardScript(Trouble(SUBMIT_RETRIES, "throttled"), "dies at the end", NONE)]
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    images = draw(st.sampled_from([0, 1, 5, 8, 8, 8]))
    pair = st.tuples(MOSTLY_GOOD, MOSTLY_GOOD)
    return Scenario(
        images=images,
        stored=draw(st.integers(0, images)),
        shard_size=draw(st.integers(1, 4)),
        max_failures=draw(st.sampled_from([0, 1, 9])),
        time_is_short=draw(st.booleans()),
        list_images=draw(pair),
        shard_images=draw(pair),
        shards=tuple(draw(st.lists(draw(st.sampled_from([SHARDS, GOOD_SHARDS])), min_size=1, max_size=4))),
        verify_run=draw(MOSTLY_GOOD),
    )


@pytest.fixture(scope="module")
def state_machine(sample: Any) -> Iterator[Machine]:
    yield from machine(sample)


def shard_sizes(world: World, run: str) -> list[int]:
    """Images of each shard that ShardImages made."""
    numbers = [
        key.rsplit("/", 1)[1].removesuffix(".jsonl.gz") for _, key in world.store.files if f"{run}/shards/" in key
    ]
    return [len(world.images_of(run, number)) for number in sorted(map(int, numbers))]


RETRIED: Final[tuple[Kind, ...]] = ("service", "throttled", "no answer", "ran, no answer")


def last_tries(turn: int) -> Scenario:
    """Every call goes well at the last try there is. In four turns each call meets each error that is retried."""
    kinds = [RETRIED[(turn + number) % 4] for number in range(4)]
    tries = [Trouble(THROTTLE_RETRIES if kind == "throttled" else LAMBDA_RETRIES, kind) for kind in kinds]
    submit = Trouble(SUBMIT_RETRIES, ("service", "throttled")[turn % 2])
    return Scenario(
        images=8,
        stored=0,
        shard_size=4,
        max_failures=0,
        time_is_short=True,
        list_images=(tries[0], tries[1]),
        shard_images=(tries[2], tries[3]),
        shards=(ShardScript(submit, "embeds all", tries[0]), ShardScript(submit, "dies at the end", tries[1])),
        verify_run=tries[2],
    )


@settings(
    max_examples=40,
    deadline=None,
    # A scenario is read at a glance, and shrinking it would run hundreds more.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@example(last_tries(0))
@example(last_tries(1))
@example(last_tries(2))
@example(last_tries(3))
@given(scenarios())
def test_every_run_ends_as_the_oracle_says(state_machine: Machine, scenario: Scenario) -> None:
    world, ended = state_machine.run(scenario)
    sizes = shard_sizes(world, ended["name"])
    expected = predict(scenario, sizes)
    event(f"ends in {expected.error}")
    assert ended.get("error") == expected.error
    assert ended["status"] == ("FAILED" if expected.error else "SUCCEEDED")
    # A function's later rounds, in no trouble, are as many as they need: the oracle does not count them.
    counted = {name: count for name, count in world.calls.items() if name in expected.calls}
    assert counted == expected.calls
    assert all(count == 1 for name, count in world.calls.items() if name not in expected.calls)
    if expected.counts is None:
        assert ended["report"] is None or expected.calls["VerifyRun 0"]
        return
    assert sum(sizes) == scenario.images - scenario.stored
    report = ended["report"]
    assert Counter({name: report[name] for name in expected.counts}) == expected.counts
    assert report["listed"] == report["embedded"] + report["unchanged"] + report["failed"] + report["missing"]
    assert report["complete"] == (expected.error is None)
    if expected.error is None:
        assert report["missing"] == 0
        assert {name: ended["output"][name] for name in expected.counts} == {
            name: report[name] for name in expected.counts
        }
    else:
        assert report["message"] in ended["cause"]
