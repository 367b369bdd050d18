"""Schedule expressions of EventBridge Scheduler: checked at synthesis, and the clock of a local run.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stepvec.errors import ConfigurationError

_UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_RATE: Final = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\(([^()]*)\)")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: Final = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _WEEKDAYS),
    ("year", 1970, 2199, ()),
)
_YEARS_AHEAD: Final = 5
"""How far ahead to search: 29 February comes at least this often, except around 2100."""
_REMEDY: Final = 'Write "rate(1 day)" or "cron(0 3 * * ? *)": minutes, hours, day of month, month, day of week, year.'


class Schedule(Protocol):
    """When something recurs."""

    def first(self, created: datetime) -> datetime | None:
        """The first time of a schedule that was created at `created`."""
        ...

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in UTC; None where there is none within five years."""
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """At regular intervals, beginning at once."""

    interval: timedelta

    def first(self, created: datetime) -> datetime | None:
        """At once: without a StartDate, AWS begins when the schedule is created."""
        return created

    def next_after(self, moment: datetime) -> datetime | None:
        """One interval later; `moment` is the time before."""
        return moment + self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """At the minutes that six fields name, in a time zone. None stands for a field `?`: any day."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]
    zone: tzinfo

    def first(self, created: datetime) -> datetime | None:
        """The first time after `created`."""
        return self.next_after(created)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`.

        A time that does not exist in spring is skipped; one that comes twice in autumn counts once.
        """
        for day in self._days_from(moment.astimezone(self.zone).date()):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                    found = wall.astimezone(UTC)
                    exists = found.astimezone(self.zone).replace(tzinfo=None) == wall.replace(tzinfo=None)
                    if exists and found > moment:
                        return found
        return None

    def _days_from(self, day: date) -> Iterator[date]:
        last = date(day.year + _YEARS_AHEAD, 12, 31)
        while day <= last:
            # AWS counts weekdays from 1, Sunday; Python's isoweekday has Sunday as 7.
            weekday = day.isoweekday() % 7 + 1
            if (
                day.year in self.years
                and day.month in self.months
                and (self.days is None or day.day in self.days)
                and (self.weekdays is None or weekday in self.weekdays)
            ):
                yield day
            day += timedelta(days=1)


def parse_schedule(expression: str, timezone: str = "UTC") -> Schedule:
    """The schedule that `expression` means in the time zone.

    Raises ConfigurationError for what is neither `rate(...)` nor `cron(...)`, and for cron's L, W and #, which are not
    read here.
    """
    try:
        # UTC is in the standard library; every other zone is in the system's database, which may be missing.
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"There is no time zone {timezone!r}.", remedy="Use a name of the IANA database, such as Europe/Vienna."
        ) from error
    rate = _RATE.fullmatch(expression)
    if rate is not None and (rate[1] == "1") is not bool(rate[3]):
        return Rate(int(rate[1]) * _UNITS[rate[2]])
    cron = _CRON.fullmatch(expression)
    if cron is None:
        raise ConfigurationError(f"{expression!r} is not a schedule.", remedy=_REMEDY)
    return _parse_cron(expression, cron[1].split(), zone)


def _parse_cron(expression: str, texts: list[str], zone: tzinfo) -> Cron:
    if len(texts) != len(_FIELDS):
        raise ConfigurationError(f"{expression!r} has {len(texts)} fields, not {len(_FIELDS)}.", remedy=_REMEDY)
    if (texts[2] == "?") is (texts[4] == "?"):
        raise ConfigurationError(
            f"{expression!r} must have ? as the day of month or as the day of week, and not as both.", remedy=_REMEDY
        )
    try:
        minutes, hours, days, months, weekdays, years = (
            None if text == "?" and name.startswith("day") else _values(text, low, high, names)
            for text, (name, low, high, names) in zip(texts, _FIELDS, strict=True)
        )
    except ValueError as error:
        raise ConfigurationError(f"{expression!r} cannot be read: {error}.", remedy=_REMEDY) from error
    none: frozenset[int] = frozenset()
    return Cron(minutes or none, hours or none, days, months or none, weekdays, years or none, zone)


def _values(text: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    """The numbers of one field: `*`, `5`, `MON-FRI`, `0/15`, and lists of these. Raises ValueError."""
    values: set[int] = set()
    for part in text.upper().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = ("*", "", "") if span == "*" else span.partition("-")
        start = low if first == "*" else _number(first, names)
        end = _number(last, names) if dash else (high if first == "*" or slash else start)
        if not (low <= start <= end <= high) or (slash and int(step) < 1):
            raise ValueError(f"{part!r} is not within {low} to {high}")
        values.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(values)


def _number(text: str, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + 1
    if not text.isdigit():
        raise ValueError(f"{text!r} is not understood")
    return int(text)
