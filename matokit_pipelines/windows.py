"""Half-open windows of time, days in a zone, wall clocks and periods.

Instants are aware and in UTC; a `date` is a day in a named zone. Not here: what a window means for a source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import SettingsError

ONE_DAY = timedelta(days=1)
WEEK_FORM = re.compile(r"^(\d{4})-W(\d{2})$")
MONTH_FORM = re.compile(r"^(\d{4})-(\d{2})$")
_YEARS = range(2000, 2200)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone yet


@dataclass(frozen=True, order=True)
class Window:
    """`[start, end)` in UTC: an event at the start counts, one at the end does not."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for edge in (self.start, self.end):
            if edge.tzinfo is None:
                raise ValueError("a window needs aware times")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end < self.start:
            raise ValueError(f"the window ends before it starts: {self.start} to {self.end}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone `name`; SettingsError when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise SettingsError(f'"{name}" is not a time zone; use an IANA name such as "Europe/Copenhagen".') from error


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of `day` in `zone`, in UTC (a day may begin at 01:00 where midnight is skipped)."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def day_window(day: date, zone: ZoneInfo) -> Window:
    """The 23, 24 or 25 hours of `day` in `zone`."""
    return Window(start_of_day(day, zone), start_of_day(day + ONE_DAY, zone))


def days_window(first: date, last: date, zone: ZoneInfo) -> Window:
    """Whole days `first` to `last`, both included."""
    return Window(start_of_day(first, zone), start_of_day(last + ONE_DAY, zone))


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The day in `zone` on which `instant` falls."""
    return instant.astimezone(zone).date()


def last_complete_day(instant: datetime, zone: ZoneInfo) -> date:
    """The newest day in `zone` that has wholly passed at `instant`."""
    return local_date(instant, zone) - ONE_DAY


def each_day(first: date, last: date) -> Iterator[date]:
    """The days `first` to `last`, both included; none when `last` is earlier."""
    day = first
    while day <= last:
        yield day
        day += ONE_DAY


def runs_of_days(days: Iterable[date]) -> list[tuple[date, date]]:
    """Distinct days as runs of neighbours, `(first, last)` both included, in order."""
    runs: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if runs and day - runs[-1][1] == ONE_DAY:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def joined(windows: Iterable[Window]) -> list[Window]:
    """The same stretches of time with overlapping and touching windows made one, in order."""
    whole: list[Window] = []
    for window in sorted(windows):
        if whole and window.start <= whole[-1].end:
            whole[-1] = Window(whole[-1].start, max(whole[-1].end, window.end))
        else:
            whole.append(window)
    return whole


def gap_free_end(windows: Iterable[Window], start: datetime) -> datetime:
    """The end of the stretch without a hole that begins at `start`; `start` itself when nothing covers it."""
    end = start
    for window in sorted(windows):
        if window.start > end:
            break
        end = max(end, window.end)
    return end


@dataclass(frozen=True)
class OffsetChange:
    """A zone's change of offset: at which instant (UTC), and the offset from UTC before and after."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def repeated(self) -> Window | None:
        """The instants of the wall clocks that are shown twice; None where clocks go forward."""
        back = self.before - self.after
        return Window(self.at - back, self.at + back) if back > timedelta() else None


def offset_changes(window: Window, zone: ZoneInfo) -> list[OffsetChange]:
    """The changes of offset in `zone` from a day before `window` to a day after it, in order, to the second."""
    found = []
    at, end = window.start - ONE_DAY, window.end + ONE_DAY
    while at < end:
        until = min(at + ONE_DAY, end)
        if _offset(at, zone) != _offset(until, zone):
            low, high = at, until
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if _offset(middle, zone) == _offset(at, zone) else (low, middle)
            change = high.replace(microsecond=0)
            found.append(OffsetChange(change, _offset(at, zone), _offset(until, zone)))
        at = until
    return found


def outside_repeated_hours(window: Window, zone: ZoneInfo) -> Window:
    """The least window around `window` whose edges each have a wall clock that `zone` shows once only."""
    start, end = window.start, window.end
    for change in offset_changes(window, zone):
        if repeated := change.repeated:
            if repeated.start < start < repeated.end:
                start = repeated.start
            if repeated.start < end < repeated.end:
                end = repeated.end
    return Window(start, end)


def wall_clock(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in `zone` shows at `instant`, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def instants_of_wall_clock(seconds: int, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The instants at which a clock in `zone` showed this wall time, earliest first.

    `seconds` is a wall clock written as if it were UTC seconds since 1970 (Matomo's `actionDetails[].timestamp`).
    One instant on most days, two in the repeated hour of autumn; in the hour that spring skips, the one instant
    that the zone's offset before the change gives.
    """
    wall = _EPOCH + timedelta(seconds=seconds)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return (first, second) if first < second else (first,)


def parse_day(text: str) -> date:
    """A day of this or the coming century written `YYYY-MM-DD`; SettingsError otherwise."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f'"{text}" is not a day; write it as 2026-11-20.') from error
    if day.year not in _YEARS:
        raise SettingsError(f'"{text}" is not a day of the years {_YEARS.start} to {_YEARS.stop - 1}; correct it.')
    return day


def parse_week(text: str) -> date:
    """The Monday of an ISO week written `2026-W46`; SettingsError otherwise."""
    match = WEEK_FORM.match(text)
    if match and int(match[1]) in _YEARS:
        try:
            return date.fromisocalendar(int(match[1]), int(match[2]), 1)
        except ValueError:
            pass
    raise SettingsError(f'"{text}" is not a week; write it as 2026-W46.')


def week_label(monday: date) -> str:
    """The ISO week that holds `monday`, as `2026-W46`."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02d}"


def monday_of(day: date) -> date:
    """The Monday of the ISO week that holds `day`."""
    return day - timedelta(days=day.weekday())


def last_complete_week(instant: datetime, zone: ZoneInfo) -> date:
    """The Monday of the newest ISO week in `zone` that has wholly passed at `instant`."""
    return monday_of(local_date(instant, zone)) - 7 * ONE_DAY


def parse_month(text: str) -> date:
    """The first day of a month written `2026-10`; SettingsError otherwise."""
    match = MONTH_FORM.match(text)
    if match and int(match[1]) in _YEARS and 1 <= int(match[2]) <= 12:
        return date(int(match[1]), int(match[2]), 1)
    raise SettingsError(f'"{text}" is not a month; write it as 2026-10.')


def month_label(day: date) -> str:
    """The month that holds `day`, as `2026-10`."""
    return f"{day:%Y-%m}"


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def last_complete_month(instant: datetime, zone: ZoneInfo) -> date:
    """The first day of the newest month in `zone` that has wholly passed at `instant`."""
    return (local_date(instant, zone).replace(day=1) - ONE_DAY).replace(day=1)
