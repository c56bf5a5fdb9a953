"""Dates and periods: what `period` and `date` mean in reports, and what they mean in Live.

Belongs here: turning the two parameters into days or epoch seconds, with the errors Matomo gives. Does not belong
here: which rows lie in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from matokit_pipelines.simulator.matomo_answers import MatomoError, escaped

PERIODS = ("day", "week", "month", "year", "range")
DAY = 86_400
_BAD_DATE = (
    "Date format must be: YYYY-MM-DD, or 'today' or 'yesterday' or any keyword supported by the strtotime function "
    "(see http://php.net/strtotime for more information): false"
)
_RELATIVE = re.compile(r"(last|previous)(\d+)$")


@dataclass(frozen=True)
class Span:
    """Days first to last, both included, with the key a dict of periods has for them."""

    key: str
    first: date
    last: date


def check_period(period: str) -> None:
    """Raise MatomoError for a period there is not."""
    if period not in PERIODS:
        known = ", ".join(PERIODS)
        raise MatomoError(f"The period '{escaped(period)}' is not supported. Try any of the following instead: {known}")


def one_date(text: str, today: date) -> date:
    """An absolute date, `today` or `yesterday`. Raises MatomoError."""
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MatomoError(_BAD_DATE) from None


def spans(period: str, text: str, today: date) -> tuple[bool, list[Span]]:
    """(whether the answer is a dict by period, its spans) of a report; today in the site's zone."""
    check_period(period)
    listed = "," in text or _RELATIVE.match(text) is not None
    if period == "range":
        first, last = range_days(text, today)
        return False, [Span(f"{first},{last}", first, last)]
    if not listed:
        return False, [_span(period, one_date(text, today))]
    if relative := _RELATIVE.match(text):
        found = _relative(period, relative[1], int(relative[2]), today)
    else:
        first, last = range_days(text, today)
        found = [_span(period, first)]
        while found[-1].last < last:
            found.append(_span(period, found[-1].last + timedelta(days=1)))
    return True, found


def _relative(period: str, kind: str, number: int, today: date) -> list[Span]:
    # lastN ends with the running period, previousN with the one before it.
    found = [_span(period, today)]
    if kind == "previous":
        found = [_span(period, found[0].first - timedelta(days=1))]
    while len(found) < number:
        found.append(_span(period, found[-1].first - timedelta(days=1)))
    return found[::-1]


def range_days(text: str, today: date) -> tuple[date, date]:
    """First and last day of `A,B`, `lastN` or `previousN`. Raises MatomoError."""
    if relative := _RELATIVE.match(text):
        last = today if relative[1] == "last" else today - timedelta(days=1)
        return last - timedelta(days=int(relative[2]) - 1), last
    if text.count(",") != 1:
        form = "'lastN', 'previousN', 'YYYY-MM-DD,YYYY-MM-DD'."
        raise MatomoError(
            f"The date '{escaped(text)}' is not a correct date range. It should have the following format:  {form}"
        )
    first, last = (one_date(part.strip(), today) for part in text.split(","))
    if last < first:
        raise MatomoError("Specified date range is invalid.")
    return first, last


def _span(period: str, day: date) -> Span:
    if period == "week":
        first = day - timedelta(days=day.weekday())
        return Span(f"{first},{first + timedelta(days=6)}", first, first + timedelta(days=6))
    if period == "month":
        first = day.replace(day=1)
        return Span(f"{first:%Y-%m}", first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))
    if period == "year":
        return Span(f"{day:%Y}", day.replace(month=1, day=1), day.replace(month=12, day=31))
    return Span(day.isoformat(), day, day)


def archived(span: Span, zone: ZoneInfo, now: int, after: int) -> Span:
    """The days of a period that ended `after` seconds ago or more; all of them if `after` is 0, maybe none."""
    last = span.last
    while after and last >= span.first and midnight(last + timedelta(days=1), zone) + after > now:
        last -= timedelta(days=1)
    return replace(span, last=last)


def midnight(day: date, zone: ZoneInfo) -> int:
    """Epoch seconds of a site-local midnight."""
    return int(datetime.combine(day, time(), zone).timestamp())


def live_window(period: str | None, text: str | None, zone: ZoneInfo, now: int) -> tuple[int | None, int | None]:
    """(since, until) in epoch seconds, both inclusive, None = open, of the last actions Live answers.

    Words follow the UTC date; today (word or date) starts at yesterday 00:00 and has no end; `lastN` starts a day
    late, `previousN` has no end. Raises MatomoError.
    """
    if not period or not text:
        return None, None
    check_period(period)
    utc_today = datetime.fromtimestamp(now, UTC).date()
    site_today = datetime.fromtimestamp(now, zone).date()
    if relative := _RELATIVE.match(text):
        back = int(relative[2]) - (2 if relative[1] == "last" else 0)
        return midnight(utc_today - timedelta(days=max(back, 0)), zone), None
    if period == "range" or "," in text:
        first, last = range_days(text, utc_today)
    else:
        day = one_date(text, utc_today)
        if period == "day" and (text == "today" or day == site_today):
            return midnight(day - timedelta(days=1), zone), None
        span = _span(period, day)
        first, last = span.first, span.last
    return midnight(first, zone), midnight(last + timedelta(days=1), zone)


def offset_windows(since: int | None, until: int | None, now: int, ascending: bool) -> list[tuple[int, int]]:
    """The windows an offset is applied to one after the other, newest or oldest first, bounds inclusive.

    One for a single day (25 hours too); else a day, a week and the rest. Each window gets the whole offset anew
    until one of them yields a row: that is how deep pages lose visits.
    """
    first = 0 if since is None else since
    last = now + DAY if until is None else until
    if last - first <= DAY + 3_600:
        return [(first, last)]
    if ascending:
        edges = [first, first + DAY, first + 8 * DAY]
        cuts = [*(edge for edge in edges if edge < last), last + 1]
        return [(a, b - 1) for a, b in pairwise(cuts)]
    edges = [last - DAY, last - 8 * DAY]
    cuts = [last + 1, *(edge for edge in edges if edge > first), first]
    return [(b, a - 1) for a, b in pairwise(cuts)]
