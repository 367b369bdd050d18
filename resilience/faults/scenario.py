"""One scenario: images, faults, runs until every moment has come, a run without faults; each held to the invariant."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from resilience.faults.fault_kinds import Kind, Setup
from resilience.faults.invariants import Verdict, check, check_rerun
from resilience.faults.pipeline import PipelineUnderTest
from stepvec.runs.outcome import FailureReason
from testkit.photos import picture

MAX_RUNS: Final = 8
"""Runs under faults; a moment that has not come by then is an error."""


@dataclass(slots=True)
class Result:
    """What came of a scenario: a line for each thing that is wrong, and how many runs it took."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    runs: int = 0

    def add(self, verdict: Verdict) -> None:
        """What one run did wrong."""
        self.lost += verdict.lost
        self.wrong += verdict.wrong
        self.duplicated += verdict.duplicated


@dataclass(frozen=True, slots=True)
class Scenario:
    """Faults of one kind, or of several at once, on `images` images in `shards` shards.

    `rate`, `first` and `moments` are as in Setup; those that are None are each kind's own.
    """

    name: str
    kinds: Sequence[Kind]
    images: int
    shards: int
    rate: float | None = None
    first: int = 0
    moments: int | None = None

    def objects(self) -> dict[str, bytes]:
        """The images by key."""
        return {f"{self.name}/{number:05d}.jpg": picture(number) for number in range(self.images)}


def another_picture(pictures: int) -> Callable[[str], bytes]:
    """For a key of a scenario, a picture that is not its own, out of so many."""
    return lambda key: picture((int(key.rsplit("/", 1)[1].removesuffix(".jpg")) + 1) % pictures)


def run_scenario(
    pipeline: PipelineUnderTest,
    scenario: Scenario,
    *,
    seed: int,
    pictures: int,
    assembly: Path,
    objects: Mapping[str, bytes] | None = None,
) -> Result:
    """Play a scenario. `pictures` is how many were embedded cleanly, `assembly` what `pipeline` deployed.

    `objects` are its images by key; small pictures where they are not given.
    """
    objects = dict(objects or scenario.objects())
    another = another_picture(pictures)
    built = [
        kind.build(
            Setup(
                pipeline=pipeline,
                assembly=assembly,
                # Each kind has images of its own: at one that is stored by now, no moment comes any more.
                keys=sorted(objects)[position :: len(scenario.kinds)],
                generator=random.Random(f"{seed}/{kind.name}"),
                rate=kind.rate if scenario.rate is None else scenario.rate,
                first=scenario.first,
                moments=kind.moments if scenario.moments is None else scenario.moments,
                another=another,
            ),
            kind.name,
        )
        for position, kind in enumerate(scenario.kinds)
    ]
    for part in built:
        objects.update(part.bad_objects)
    pipeline.put_all(objects)
    may_fail = frozenset[FailureReason]().union(*(part.may_fail for part in built))
    run_input: dict[str, Any] = {"Paths": [scenario.name], "ShardSize": -(-len(objects) // scenario.shards)}
    result = Result()
    try:
        pipeline.injector.arm([armed for part in built for armed in part.armed])
        while result.runs == 0 or not all(part.is_spent() for part in built):
            if result.runs == MAX_RUNS:
                result.wrong.append(f"{scenario.name}: a fault's moment did not come in {MAX_RUNS} runs")
                break
            verdict = _run(pipeline, scenario, run_input, may_fail, result)
            if len(scenario.kinds) == 1:
                pipeline.ledger.images[scenario.kinds[0].name].update(verdict.pending)
    finally:
        pipeline.injector.disarm()
        for part in built:
            part.end()
    _run_again(pipeline, scenario, run_input, may_fail, result)
    return result


def _run(
    pipeline: PipelineUnderTest,
    scenario: Scenario,
    run_input: dict[str, Any],
    may_fail: frozenset[FailureReason],
    result: Result,
) -> Verdict:
    result.runs += 1
    ended = pipeline.run(f"{scenario.name}-{result.runs}", run_input)
    verdict = check(pipeline.observe(scenario.name, ended), pipeline.truth(), may_fail=may_fail)
    result.add(verdict)
    return verdict


def _run_again(
    pipeline: PipelineUnderTest,
    scenario: Scenario,
    run_input: dict[str, Any],
    may_fail: frozenset[FailureReason],
    result: Result,
) -> None:
    """The run without faults: it does what is missing, what changed and what failed, and nothing else."""
    stored = {str(row["ImageId"]["S"]): str(row["ETag"]["S"]) for row in pipeline.rows(scenario.name)}
    pipeline.injector.take_written()
    due = {key for key, etag in pipeline.listing(scenario.name).items() if stored.get(key) != etag}
    after = _run(pipeline, scenario, run_input, may_fail & {FailureReason.NOT_AN_IMAGE}, result)
    result.add(check_rerun(after, pipeline.injector.take_written(), due=due))
