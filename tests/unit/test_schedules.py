"""Schedule expressions: what AWS documents of them."""

from datetime import UTC, datetime, timedelta

import pytest

from stepvec.errors import ConfigurationError
from stepvec.schedules import parse_schedule


def utc(year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


NOON = utc(2026, 11, 22, 12, 0)  # a Sunday


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(2 hours)", timedelta(hours=2)),
        ("rate(1 day)", timedelta(days=1)),
    ],
)
def test_a_rate_begins_at_once_and_goes_on_at_its_interval(expression: str, interval: timedelta) -> None:
    schedule = parse_schedule(expression)
    assert schedule.first(NOON) == NOON
    assert schedule.next_after(NOON) == NOON + interval


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(* * * * ? *)", utc(2026, 11, 22, 12, 1)),
        ("cron(0/15 * * * ? *)", utc(2026, 11, 22, 12, 15)),
        ("cron(0 3 * * ? *)", utc(2026, 11, 23, 3, 0)),
        ("cron(30 9 ? * MON-FRI *)", utc(2026, 11, 23, 9, 30)),
        ("cron(0 8 ? * 1 *)", utc(2026, 11, 29, 8, 0)),
        ("cron(0 0 1 JAN,JUL ? *)", utc(2027, 1, 1, 0, 0)),
        ("cron(0 0 29 2 ? *)", utc(2028, 2, 29, 0, 0)),
        ("cron(10,20 6-8 * * ? 2027)", utc(2027, 1, 1, 6, 10)),
    ],
)
def test_the_next_time_of_a_cron(expression: str, expected: datetime) -> None:
    assert parse_schedule(expression).first(NOON) == expected


def test_a_cron_of_the_past_never_comes() -> None:
    assert parse_schedule("cron(0 0 1 1 ? 2020)").next_after(NOON) is None


def test_a_cron_is_by_the_clocks_of_its_zone() -> None:
    schedule = parse_schedule("cron(0 3 * * ? *)", "Europe/Vienna")
    assert schedule.next_after(utc(2026, 7, 1, 0, 0)) == utc(2026, 7, 1, 1, 0)
    assert schedule.next_after(utc(2026, 12, 1, 0, 0)) == utc(2026, 12, 1, 2, 0)


def test_a_time_that_spring_leaves_out_is_skipped_and_one_that_autumn_repeats_counts_once() -> None:
    schedule = parse_schedule("cron(30 2 * * ? *)", "Europe/Vienna")
    assert schedule.next_after(utc(2026, 3, 28, 12, 0)) == utc(2026, 3, 30, 0, 30)
    once = schedule.next_after(utc(2026, 10, 24, 12, 0))
    assert once == utc(2026, 10, 25, 0, 30)
    assert schedule.next_after(once) == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize(
    "expression",
    [
        "", "daily", "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(1 week)", "cron(* * * * *)",
        "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 0 L * ? *)", "cron(0 0 ? * 2#1 *)",
        "cron(0/0 * * * ? *)", "cron(5-1 * * * ? *)", "cron(? 0 * * ? *)", "at(2026-11-22T12:00:00)",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_an_example(expression: str) -> None:
    with pytest.raises(ConfigurationError, match="rate"):
        parse_schedule(expression)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Mars/Base"):
        parse_schedule("rate(1 day)", "Mars/Base")
