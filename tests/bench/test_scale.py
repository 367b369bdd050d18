"""The benchmark of whole runs: which parts it works on, and how the whole follows from them."""

from __future__ import annotations

import pytest

from bench.scale.__main__ import CASES, Took, plan_of, rounds_of
from bench.scale.model_of_jobs import entries_of
from bench.scale.steps import LAYOUT, PagesLeft
from stepvec.estimate.plan import IMAGES_OF_A_RUN
from stepvec.runs.run_input import MAX_SHARDS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_windows_are_worked_on_or_left_out_and_the_first_and_the_last_are_worked_on(case):
    assert sorted([*case.worked_on, *case.left_out]) == list(range(case.windows))
    assert (case.worked_on[0], case.worked_on[-1]) == (0, case.windows - 1)
    assert not set(case.verified) - set(range(case.shards))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_model_gives_each_shard_its_number_once_and_plans_agree(case):
    numbers = [entry.shard for window in range(case.windows) for entry in entries_of(LAYOUT, window)]
    assert numbers == list(range(case.shards))
    assert plan_of(case).shards == case.shards <= MAX_SHARDS
    assert case.keys <= IMAGES_OF_A_RUN


def test_the_whole_is_the_part_times_the_rest_but_for_the_end():
    took = Took(11.0, 50.0, {"GET": 20, "PUT": 10}, done=10, of=100, end_cpu_seconds=1.0)
    assert took.whole_cpu_seconds == pytest.approx(101.0)
    assert took.whole("GET", "PUT") == pytest.approx(300.0)


def test_invocations_follow_from_cpu_and_waits():
    # 1,000 pages of 0.1 s, and 1,580 s of CPU: two invocations of 840 s.
    minutes, rounds = rounds_of("list_images", Took(1_580.0, 50.0, {"GET": 1_000}, done=1, of=1))
    assert minutes == pytest.approx(28.0)
    assert rounds == 2
    assert rounds_of("verify_shard", Took(1.0, 50.0, {}, done=1, of=7))[1] == 7


def test_time_is_over_after_so_many_looks_at_the_clock():
    left = PagesLeft(2)
    assert [left.get_remaining_time_in_millis() > 0 for _ in range(3)] == [True, False, False]
