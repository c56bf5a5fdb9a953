"""Which windows of a Piwik PRO site are due, and how they are cut so that each comes in one page. Pure: no reading.

Three tiers: each pass what is not covered and the newest six hours; hourly the older windows of the look-back whose
count has changed; nightly the whole look-back. No edge lies in an hour that autumn repeats: the server compares wall
clocks, and a wall clock of that hour names two instants. Not here: doing it (piwik_pro_pass.py, piwik_pro_windows.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.ledger import Tier
from matokit_pipelines.windows import (
    ONE_DAY,
    Window,
    day_window,
    each_day,
    joined,
    local_date,
    offset_changes,
    outside_repeated_hours,
    start_of_day,
    wall_clock,
)

LAG = timedelta(minutes=150)  # half an hour until a session has ended, two hours until it is processed
RECENT = timedelta(hours=6)
LOOK_BACK_DAYS = 3
LONGEST = timedelta(days=31)
ONE_HOUR = timedelta(hours=1)
FILL = 0.8  # how full a page is planned to be


@dataclass(frozen=True)
class Step:
    """One window to read, for the `attempt`-th time in this pass."""

    tier: Tier
    window: Window
    attempt: int = 1

    @property
    def label(self) -> str:
        return f"since {self.window.start:%Y-%m-%d %H:%M} UTC"


def due(
    covered: Sequence[Window],
    troubled: Sequence[Window],
    given_up: Sequence[Window],
    *,
    since: datetime,
    now: datetime,
    zone: ZoneInfo,
) -> list[Step]:
    """What a pass at `now` reads in any case: what is open since `since`, and the newest six hours.

    What is `covered` or `given_up` is read only within those hours. Windows in `troubled` (their last reading did not
    add up) are read by themselves, so that they hold up no other. Edges off the quarters of an hour are those of passes
    that read up to their own moment, and do not last: else each pass would leave one more.
    """
    recent = max(since, _hour(now - RECENT))
    wanted = [Window(max(since, _hour(gap.start)), gap.end) for gap in gaps([*covered, *given_up], since, now)]
    before = [part for gap in joined(wanted) for part in gaps([*given_up, Window(recent, now)], gap.start, gap.end)]
    ends = {edge for window in [*troubled, *given_up] for edge in (window.start, window.end)}
    edges = {recent} | {edge for edge in ends if edge.minute % 15 == 0 and not (edge.second or edge.microsecond)}
    steps = []
    for stretch in [*before, Window(recent, now)]:
        for window in _cut(outside_repeated_hours(stretch, zone), sorted(edges), zone):
            steps.append(Step("recent" if window.end > recent else "history", window))
    return steps


def look_back(now: datetime, since: datetime, zone: ZoneInfo, last: datetime | None = None) -> list[Window]:
    """The windows of the look-back older than the newest six hours: whole days in `zone`, the last one cut short.

    `last`: when it was last read to its end; what was not old enough then is read again, however long ago that is.
    """
    end = outside_repeated_hours(Window(_hour(now - RECENT), now), zone).start
    first = local_date(min(last or now, now), zone) - LOOK_BACK_DAYS * ONE_DAY
    days = [day_window(day, zone) for day in each_day(first, local_date(now, zone))]
    cut = [Window(max(day.start, since), min(day.end, end)) for day in days if day.end > since and day.start < end]
    return [window for window in cut if window.start < window.end]


def final_before(last: datetime, zone: ZoneInfo) -> datetime:
    """Nothing before this will be read again without being asked for. `last`: when the look-back was last read."""
    return start_of_day(local_date(last, zone) - LOOK_BACK_DAYS * ONE_DAY, zone)


def asked(first: date, last: date, *, now: datetime, zone: ZoneInfo) -> list[Step]:
    """Whole site-days `first` to `last`, read again whatever is known. SettingsError when `first` is still to come."""
    if first > local_date(now, zone):
        raise SettingsError(
            f"{first} has not begun yet in {zone.key}, the time zone of the site; ask for earlier days."
        )
    window = Window(start_of_day(first, zone), min(start_of_day(last + ONE_DAY, zone), now))
    return [Step("asked", outside_repeated_hours(window, zone))]


def gaps(covered: Sequence[Window], since: datetime, now: datetime) -> list[Window]:
    """The stretches of `[since, now)` that no window of `covered` holds, in order."""
    open_from, found = since, []
    for window in joined(covered):
        if window.start >= now:
            break
        if window.start > open_from:
            found.append(Window(open_from, window.start))
        open_from = max(open_from, window.end)
    return [*found, Window(open_from, now)] if open_from < now else found


def by_pages(window: Window, counts: Mapping[datetime, int], zone: ZoneInfo, page: int) -> list[Window]:
    """`window` in parts that should each come in one page of `page` rows.

    `counts`: rows by hour, keyed by naive wall clock of `zone`; an hour that is not in it has none.
    """
    edges, filled, start, seen = [window.start], 0.0, window.start, set[datetime]()
    hour = window.start
    while hour < window.end:
        key = wall_clock(hour, zone).replace(minute=0, second=0, microsecond=0)
        rows = 0 if key in seen else counts.get(key, 0)
        seen.add(key)
        following = min(hour + ONE_HOUR, window.end)
        if hour > start and (filled + rows > FILL * page or following - start > LONGEST):
            edges.append(hour)
            filled, start = 0.0, hour
        if rows > FILL * page:
            edges += [hour + (following - hour) * part / _parts(rows, page) for part in range(1, _parts(rows, page))]
        filled += rows
        hour = following
    return _cut(window, sorted({edge.replace(microsecond=0) for edge in edges}), zone)


def split(window: Window, rows: int, page: int, zone: ZoneInfo) -> list[Window]:
    """`window`, which holds `rows` rows, in equal parts of about a page each; itself when it cannot be cut."""
    length = window.end - window.start
    parts = min(max(2, _parts(rows, page)), max(1, int(length.total_seconds())))
    edges = [(window.start + length * part / parts).replace(microsecond=0) for part in range(1, parts)]
    return _cut(window, sorted(set(edges)), zone)


def narrowed(window: Window, zone: ZoneInfo) -> list[Window]:
    """The days of a window that does not add up, the hours of a day, itself for an hour."""
    if window.end - window.start > timedelta(hours=25):
        first, last = local_date(window.start, zone), local_date(window.end, zone)
        edges = [start_of_day(day, zone) for day in each_day(first, last)]
    else:
        hours = int((window.end - window.start) / ONE_HOUR) + 1
        edges = [_hour(window.start) + n * ONE_HOUR for n in range(1, hours + 1)]
    return _cut(window, edges, zone)


def _parts(rows: int, page: int) -> int:
    return math.ceil(rows / (FILL * page))


def _cut(window: Window, edges: Sequence[datetime], zone: ZoneInfo) -> list[Window]:
    """`window` cut at those of `edges` (in order) that lie within it and in no repeated hour."""
    repeated = [change.repeated for change in offset_changes(window, zone) if change.repeated]
    inside = [
        edge
        for edge in edges
        if window.start < edge < window.end and not any(hour.start < edge < hour.end for hour in repeated)
    ]
    return [Window(start, end) for start, end in pairwise([window.start, *inside, window.end])]


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)
