"""Which periods a question is about: `period` and `date` as a person writes them, made absolute in the site's zone.

Nothing relative is ever sent to Matomo: "today" means other things in other places there. Not here: what a period
holds (tables.py, asking.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from matokit_pipelines.toolserver.problems import Problem, refused

Period = Literal["day", "week", "month", "year", "range"]
PERIODS: tuple[Period, ...] = ("day", "week", "month", "year", "range")
FORMS = "YYYY-MM-DD, YYYY-MM, today, yesterday, lastN, previousN, or two dates as A,B"
MOST_PARTS = 400
MOST_DAYS = 3_660
FIRST_YEAR = 1991
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_COUNTED = re.compile(r"(last|previous)(\d{1,4})")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Part:
    """One period: its first and last day, and its name as Matomo writes it ("2026-11", "2026-11-09,2026-11-15")."""

    start: date
    end: date
    label: str


@dataclass(frozen=True)
class Span:
    """What a question is about: one period or several in a row, none of which begins after `today`.

    `is_several`: asked for as a list of periods, which Matomo answers by period, even when it holds one only.
    """

    period: Period
    parts: tuple[Part, ...]
    is_several: bool
    today: date

    @property
    def start(self) -> date:
        """The first day."""
        return self.parts[0].start

    @property
    def end(self) -> date:
        """The last day, today at most."""
        return min(self.parts[-1].end, self.today)

    @property
    def label(self) -> str:
        """The name of the one period, or the first and the last day."""
        return self.parts[0].label if len(self.parts) == 1 else f"{self.start},{self.end}"

    @property
    def asked_as(self) -> str:
        """The value of Matomo's `date` for it, in absolute days."""
        if self.is_several or self.period == "range":
            return f"{self.start},{self.end}"
        return self.start.isoformat()

    @property
    def is_over(self) -> bool:
        """Whether its last day is over."""
        return self.parts[-1].end < self.today

    def days(self) -> Iterator[date]:
        """Its days up to today."""
        return _days(self.start, self.end)

    def as_days(self) -> Span:
        """The same days as a list of days."""
        return Span("day", tuple(_part("day", day) for day in self.days()), True, self.today)

    def as_range(self) -> Span:
        """The same days as one range."""
        return Span("range", (_range(self.start, self.end),), False, self.today)

    def before(self) -> Span:
        """The span of equal length just before it: as many periods, or as many days for a range."""
        count = len(self.parts)
        if self.period == "range":
            length = (self.end - self.start) + _ONE_DAY
            parts: tuple[Part, ...] = (_range(self.start - length, self.start - _ONE_DAY),)
        else:
            parts = tuple(_part(self.period, _moved(self.period, part.start, -count)) for part in self.parts)
        if parts[0].start.year < FIRST_YEAR:
            raise refused("There is no span of equal length before that one.", "Ask for later dates.")
        return Span(self.period, parts, self.is_several, self.today)


def span_of(period: Period, text: str, today: date, *, by_period: bool = False) -> Span:
    """The span that `period` and `date` name. `today`: the site's. Problem 400 for what is no date.

    by_period: the answer has one row a period. Otherwise a whole month (YYYY-MM) asked by day or week is that month,
    of which Matomo knows the unique visitors.
    """
    text = "".join(text.split()).lower()
    if found := _COUNTED.fullmatch(text):
        return _counted(period, found[1], int(found[2]), today)
    if found := _MONTH.fullmatch(text):
        return _whole_month(period, _checked(f"{text}-01"), today, by_period)
    first, comma, last = text.partition(",")
    start = _one(first, today)
    if comma:
        return _between(period, start, _one(last, today), today)
    if period == "range":
        return _between("range", start, start, today)
    return _clipped(period, [_part(period, start)], False, today)


def _one(text: str, today: date) -> date:
    if text == "today":
        return today
    if text == "yesterday":
        return today - _ONE_DAY
    if not _DAY.fullmatch(text):
        raise refused(f'"{text[:40]}" is no date.', f"Give date as {FORMS}.")
    return _checked(text)


def _checked(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise refused(f"{text} is not in the calendar.", f"Give date as {FORMS}.") from None
    if found.year < FIRST_YEAR:
        raise refused(f"{text} is too long ago: Matomo knows no date before {FIRST_YEAR}.", f"Give date as {FORMS}.")
    return found


def _counted(period: Period, word: str, count: int, today: date) -> Span:
    if count < 1:
        raise refused(f"{word}{count} names no period.", f"Give date as {FORMS}; N is 1 or more.")
    if period == "range":
        end = today if word == "last" else today - _ONE_DAY
        return _between("range", end - timedelta(days=count - 1), end, today)
    if count > MOST_PARTS:
        raise _too_many()
    newest = 0 if word == "last" else 1
    starts = [_moved(period, today, -back) for back in range(count - 1 + newest, newest - 1, -1)]
    return _clipped(period, [_part(period, start) for start in starts], True, today)


def _whole_month(period: Period, first: date, today: date, by_period: bool) -> Span:
    if period in ("year", "range") or (by_period and period != "month"):
        return _between(period, first, _end("month", first), today)
    return _clipped("month", [_part("month", first)], False, today)


def _between(period: Period, start: date, end: date, today: date) -> Span:
    if end < start:
        raise refused(f"The dates {start},{end} are in the wrong order.", "Give the earlier date first.")
    if period == "range":
        if (end - start).days >= MOST_DAYS:
            raise refused(f"A range may have {MOST_DAYS} days at most.", "Ask for a shorter range.")
        return _clipped(period, [_range(start, min(end, max(today, start)))], False, today)
    parts: list[Part] = []
    at = start
    while at <= min(end, today) or not parts:
        parts.append(_part(period, at))
        at = parts[-1].end + _ONE_DAY
        if len(parts) > MOST_PARTS:
            raise _too_many()
    return _clipped(period, parts, True, today)


def _clipped(period: Period, parts: list[Part], is_several: bool, today: date) -> Span:
    begun = tuple(part for part in parts if part.start <= today)
    if not begun:
        raise refused(f"{parts[0].label} lies in the future; today is {today} at that site.", f"Give date as {FORMS}.")
    return Span(period, begun, is_several, today)


def _too_many() -> Problem:
    return refused(f"One question may be about {MOST_PARTS} periods.", "Ask for longer periods or fewer of them.")


def _part(period: Period, day: date) -> Part:
    start = _start(period, day)
    end = _end(period, start)
    label = {"day": f"{start}", "week": f"{start},{end}", "month": f"{start:%Y-%m}", "year": f"{start:%Y}"}[period]
    return Part(start, end, label)


def _range(start: date, end: date) -> Part:
    return Part(start, end, f"{start},{end}")


def _start(period: Period, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if period == "year" else day


def _end(period: Period, start: date) -> date:
    return start if period == "day" else _moved(period, start, 1) - _ONE_DAY


def _moved(period: Period, day: date, by: int) -> date:
    """The first day of the period that lies `by` periods from that of `day`."""
    start = _start(period, day)
    if period in ("day", "week"):
        return start + timedelta(days=by * (7 if period == "week" else 1))
    months = start.year * 12 + start.month - 1 + by * (12 if period == "year" else 1)
    return date(months // 12, months % 12 + 1, 1)


def _days(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=number) for number in range((end - start).days + 1))
