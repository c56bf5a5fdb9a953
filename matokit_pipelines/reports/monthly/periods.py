"""Which days the monthly report of a month is about, and the months and weeks beside it.

A month stands for the 30 days that end with its last day, so that all months are equally long. Not here: counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from matokit_pipelines.reports.shapes import Period, period_of
from matokit_pipelines.windows import ONE_DAY, monday_of

DAYS = 30
TREND_MONTHS = 6
RULE_MONTHS = 3
ADOPTION_WEEKS = 13


def month_label(month: date) -> str:
    """The month that begins with `month`, as `2026-10`."""
    return f"{month:%Y-%m}"


def last_day_of(month: date) -> date:
    """The last day of the month that begins with `month`."""
    return (month + timedelta(days=31)).replace(day=1) - ONE_DAY


def months_until(month: date, count: int) -> Iterator[date]:
    """The first days of `count` months that end with `month`, oldest first."""
    for back in reversed(range(count)):
        years, place = divmod(month.year * 12 + month.month - 1 - back, 12)
        yield date(years, place + 1, 1)


def days_of_month(month: date) -> tuple[date, date]:
    """First and last of the 30 days that end with the month."""
    last = last_day_of(month)
    return last - (DAYS - 1) * ONE_DAY, last


def periods_of(month: date, zone: str) -> tuple[Period, Period]:
    """`(the period, the 30 days before it)`. ValueError when `month` is not the first day of one."""
    if month.day != 1:
        raise ValueError(f"{month} is not the first day of a month")
    first, last = days_of_month(month)
    before = (first - DAYS * ONE_DAY, first - ONE_DAY)
    label = month_label(month)
    return period_of(label, first, last, zone), period_of(f"before {label}", *before, zone)


def weeks_until(last: date) -> list[date]:
    """The Mondays of the thirteen ISO weeks that have wholly passed at the end of `last`, oldest first."""
    newest = monday_of(last + ONE_DAY) - 7 * ONE_DAY
    return [newest - 7 * back * ONE_DAY for back in reversed(range(ADOPTION_WEEKS))]
