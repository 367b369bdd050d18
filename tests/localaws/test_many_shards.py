"""Runs of many shards that all fail: the Map's result stays small, and the run ends with a report that names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from lambdas.verify_run.tally import INCOMPLETE_SHARDS_NAMED
from tests.localaws.state_machine_world import Machine, Scenario, ShardScript, Trouble, machine

NONE: Final = Trouble(0, "service")
SHARDS: Final = 2_000
"""Seven times as many as fit 256 KiB with the metadata of a failed child, about 1 KB each."""


@pytest.fixture(scope="module")
def state_machine(sample: Any) -> Iterator[Machine]:
    yield from machine(sample)


def scenario(shards: int, *scripts: ShardScript) -> Scenario:
    return Scenario(
        images=shards,
        stored=0,
        shard_size=1,
        max_failures=0,
        time_is_short=False,
        list_images=(NONE, NONE),
        shard_images=(NONE, NONE),
        shards=scripts,
        verify_run=NONE,
    )


def test_2000_shards_that_all_fail_end_in_incomplete_with_a_report(state_machine: Machine) -> None:
    _, ended = state_machine.run(scenario(SHARDS, ShardScript(NONE, "dies halfway", NONE)), seconds=240)
    report = ended["report"]
    assert ended["error"] == "Incomplete", ended.get("cause")
    assert (report["listed"], report["missing"], report["shards"]) == (SHARDS, SHARDS, SHARDS)
    assert report["shards_failed"] == SHARDS
    named = report["incomplete_shards"]
    assert [shard["shard"] for shard in named] == list(range(INCOMPLETE_SHARDS_NAMED))
    assert len({shard["execution"] for shard in named}) == INCOMPLETE_SHARDS_NAMED, "each child has a page of its own"


def test_a_lost_verify_shard_fails_no_child_and_its_shard_is_named(state_machine: Machine) -> None:
    lost = ShardScript(NONE, "embeds all", Trouble(1, "raised"))
    _, ended = state_machine.run(scenario(2, ShardScript(NONE, "embeds all", NONE), lost))
    report = ended["report"]
    assert (ended["error"], report["embedded"], report["missing"]) == ("Incomplete", 1, 1)
    (named,) = report["incomplete_shards"]
    assert (named["shard"], named["missing"]) == (1, 1)
    assert "VerifyShard did not run" in named["error"]
    # Nobody wrote down the child: the page of the run leads to it.
    assert ended["executionArn"] in named["execution"]
